"""Anomalies, what they are made of, and the incidents they belong to."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from server.domain.baseline import Level
from server.domain.telemetry import Fleet, Frozen


class SeverityBand(StrEnum):
    """Severity in words; `of` maps 0-100 to it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @classmethod
    def of(cls, severity: float) -> "SeverityBand":
        """The band of a severity: below 50 low, below 70 medium, below 85 high, else critical."""
        return cls.LOW if severity < 50 else cls.MEDIUM if severity < 70 else cls.HIGH if severity < 85 else cls.CRITICAL


class Contribution(Frozen):
    """How much one metric's feature added to an anomaly's score, against what is typical at which level."""

    metric: str
    feature: str
    value: float | None
    typical: float | None
    z: float
    level: Level | None
    n: int
    share: float = Field(description="part of the whole score, summing to 1 over all features")


class Anomaly(Frozen):
    """One flagged row of one device. The id names device and time, so it stays the same when the row is scored again."""

    id: str
    fleet: Fleet
    run: str
    device: str
    time: datetime
    cohort: tuple[str, ...] = ()
    site: str = ""
    score: float = Field(description="in scikit-learn's sense: lower is more abnormal")
    threshold: float
    severity: float = Field(ge=0, le=100)
    confidence: float = Field(ge=0, le=1, description="falls with the share of missing features and thin baselines")
    contributions: tuple[Contribution, ...] = ()
    baseline_version: int | None = None
    detector_version: int
    fallback: str = Field(default="", description="why it was found on raw features; empty if on z-scores")
    incident: str = ""

    @property
    def band(self) -> SeverityBand:
        """The severity in words."""
        return SeverityBand.of(self.severity)

    @property
    def top_metric(self) -> str:
        """The metric that added most; empty if nothing is known."""
        return self.contributions[0].metric if self.contributions else ""


class IncidentKind(StrEnum):
    """Whether devices or their telemetry are at fault."""

    DEVICE = "device"
    TELEMETRY = "telemetry"


class Incident(Frozen):
    """Anomalies that belong together: one cohort or site, one set of metrics, one onset."""

    id: str
    fleet: Fleet
    run: str
    kind: IncidentKind
    title: str = Field(description="one line with counts and denominators")
    metrics: tuple[str, ...]
    scope: dict[str, str] = Field(
        description="the cohort columns, site or device that its devices share; empty for the whole fleet"
    )
    start: datetime
    end: datetime
    devices: tuple[str, ...]
    devices_in_scope: int
    elsewhere_share: float = Field(description="share of devices outside the scope with the same trouble at that time")
    anomalies: int
    severity: float
    rolling: bool = Field(default=False, description="its devices share the scope but not the moment, as in an update wave")
    chance: float | None = Field(
        default=None, description="probability that so many devices of the scope are affected by chance, times the scopes tried"
    )


class FeatureDrift(Frozen):
    """How far a feature has moved since its baseline was estimated."""

    feature: str
    level: Level
    group: str
    psi: float = Field(description="population stability index on fixed bins")
    median_shift: float = Field(description="in units of the baseline's scale")
    n: int


class ScoreDrift(Frozen):
    """How far scores have moved since the detector was trained."""

    psi: float = Field(description="population stability index on tenths of the reference scores")
    share_flagged: float = Field(description="share of scores below the threshold now")
    expected_share: float = Field(description="share below the threshold when it was calibrated")
    median_shift: float = Field(description="in units of the reference scores' interquartile range; negative is more abnormal")
    n: int


class AnomalyFilter(Frozen):
    """Which anomalies are meant; what is unset does not restrict."""

    fleet: str | None = None
    run: str | None = None
    device: str | None = None
    incident: str | None = None
    metric: str | None = None
    min_severity: float = 0.0
    start: datetime | None = None
    end: datetime | None = None
