"""The knobs of a walk, declared once: validation, command line and docs read them here."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from server.domain.telemetry import Frozen


class FeatureSettings(Frozen):
    """Windows over which features are taken; both follow from the sampling rhythm when unset."""

    window: Annotated[timedelta, Field(gt=timedelta(0))] | None = Field(
        None,
        description="length of the rolling window (t - window, t]; unset: 12 sampling intervals, so 12 hours on hourly rows",
    )
    lag: Annotated[timedelta, Field(gt=timedelta(0))] | None = Field(
        None,
        description="how far back the change of the rolling mean is taken; unset: two windows, so day over day on hourly rows",
    )


class BaselineSettings(Frozen):
    """How what is normal is estimated."""

    min_rows: int = Field(25, ge=2, description="rows at which a level starts to count")
    profile_days: int = Field(7, ge=2, description="days of history at which an hour-of-day profile is taken")


class DetectorSettings(Frozen):
    """Which detector is trained, and where its threshold is put."""

    name: str = Field("hybrid", description="a registered detector")
    n_estimators: int = Field(300, ge=1, le=5000)
    max_samples: int = Field(256, ge=2, le=65536)
    random_state: int = 42
    min_variance: float = Field(1e-6, ge=0, description="columns that vary less than this are left out")
    contamination: float = Field(0.03, gt=0, le=0.5, description="share of rows to flag, fixed at calibration")
    alerts_per_day: float | None = Field(None, gt=0, description="alert budget for the fleet; replaces contamination when set")
    domain_weights: dict[str, Annotated[float, Field(ge=0, le=10)]] = Field(
        {}, description="how much a metric domain counts; 1 where unset, 0 silences it"
    )


class WalkSettings(Frozen):
    """Everything that decides a run's results besides its telemetry."""

    features: FeatureSettings = FeatureSettings()
    baselines: BaselineSettings = BaselineSettings()
    detector: DetectorSettings = DetectorSettings()
    name_every_row: bool = Field(False, description="find the metric at fault for every row, not only for those flagged")
    fit_split: str | None = Field(None, description="fit only on rows whose split column says this; unset: on all rows")
