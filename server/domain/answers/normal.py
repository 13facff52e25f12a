"""What counts as normal: baselines, the detector, how scores spread, and how far both have moved."""

from datetime import datetime, timedelta

from pydantic import Field

from server.domain.anomaly import FeatureDrift, ScoreDrift
from server.domain.answers.answer import Answer, Page, Rate
from server.domain.baseline import Adjustment, Baseline, BaselineVersion, DetectorVersion
from server.domain.settings import DetectorSettings


class BaselinePage(Answer):
    """What is normal, for whom. Values of log-transformed metrics are in logarithms."""

    version: BaselineVersion
    in_force: int = Field(description="the version in force")
    adjustments: tuple[Adjustment, ...] = Field(description="approved adjustments of that version, up to 100")
    baselines: tuple[Baseline, ...]
    offset: int = 0
    total: int | None = Field(description="None: there are more than these, not counted")
    truncated: bool


class DetectorReport(Answer):
    """The detector that made the newest anomalies."""

    version: DetectorVersion
    settings: DetectorSettings
    feature_window: timedelta
    feature_lag: timedelta
    baseline_version: int | None = Field(description="None: raw features")
    fallback: str = Field(default="", description="why raw features are used")
    trained_rows: int
    flagged: Rate = Field(description="flagged rows of the run")
    expected_share: float = Field(description="share below the threshold when it was calibrated")
    reference_quantiles: dict[str, float] = Field(description="scores of reference rows at 0, 0.01, 0.05, 0.25, 0.5, 0.75, 1")


class ScoreDistribution(Answer):
    """How severities spread. Right-skewed is as it should be."""

    edges: tuple[float, ...] = Field(description="of severity, one more than counts")
    normal: tuple[int, ...]
    anomalous: tuple[int, ...]
    threshold_severity: float = 50.0
    threshold: float = Field(description="as a score")
    severity_quantiles: dict[str, float]
    flagged: Rate


class DriftReport(Page):
    """How far features and scores have moved: rows from `since` on against earlier ones."""

    since: datetime
    features: tuple[FeatureDrift, ...] = Field(description="largest index first")
    drifted: int = Field(description="features and groups with an index of 0.25 or more")
    scores: ScoreDrift
