"""The knobs of a walk, declared once: validation, command line and docs read them here."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field

from server.domain.telemetry import Frozen


class FeatureSettings(Frozen):
    """Windows over which features are taken; both follow from the sampling rhythm when unset."""

    window: Annotated[timedelta, Field(gt=timedelta(0))] | None = Field(
        default=None,
        description="length of the rolling window (t - window, t]; unset: 12 sampling intervals, so 12 hours on hourly rows",
    )
    lag: Annotated[timedelta, Field(gt=timedelta(0))] | None = Field(
        default=None,
        description="how far back the change of the rolling mean is taken; unset: one window, so it compares neighbours; "
        "24 h: day over day",
    )


class BaselineSettings(Frozen):
    """How what is normal is estimated."""

    min_rows: int = Field(default=25, ge=2, description="rows at which a level starts to count")
    profile_days: int = Field(default=7, ge=2, description="days of history at which an hour-of-day profile is taken")
    keep_for: Annotated[timedelta, Field(gt=timedelta(0))] | None = Field(
        default=None,
        description="how far telemetry may go on before the baselines in force and their detector are estimated anew: until "
        "then a run scores its new rows only; unset: every run estimates",
    )


class DetectorSettings(Frozen):
    """Which detector is trained, and where its threshold is put."""

    name: str = Field(default="hybrid", description="a registered detector")
    n_estimators: int = Field(default=300, ge=1, le=5000)
    max_samples: int = Field(default=256, ge=2, le=65536)
    random_state: int = 42
    min_variance: float = Field(default=1e-6, ge=0, description="columns that vary less than this are left out")
    contamination: float = Field(default=0.03, gt=0, le=0.5, description="share of rows to flag, fixed at calibration")
    alerts_per_day: float | None = Field(
        default=None, gt=0, description="alert budget for the fleet; replaces contamination when set"
    )
    domain_weights: dict[str, Annotated[float, Field(ge=0, le=10)]] = Field(
        default={}, description="how much a metric domain counts; 1 where unset, 0 silences it"
    )


class EventSettings(Frozen):
    """When a device's flagged rows are an event, of which incidents are made; severities are 0 to 100, the threshold is 50.

    Two thresholds, as in edge detection (Canny 1986): an event needs one row at the upper one and lasts while rows are flagged.
    """

    event_opens: float = Field(
        default=50.0, ge=50, lt=100, description="severity that one row of an event must reach; 50: any flagged row opens one"
    )
    event_rows: int = Field(default=3, ge=1, description="flagged rows that make an event")
    event_alone: float = Field(default=70.0, ge=50, le=100, description="severity at which fewer rows make an event, too")
    event_gap: int = Field(default=3, ge=1, description="sampling intervals that two flagged rows of an event may be apart")


class WalkSettings(Frozen):
    """Everything that decides a run's results besides its telemetry."""

    features: FeatureSettings = FeatureSettings()
    baselines: BaselineSettings = BaselineSettings()
    detector: DetectorSettings = DetectorSettings()
    events: EventSettings = EventSettings()
    name_every_row: bool = Field(
        default=False, description="find the metric at fault for every row, not only for those flagged"
    )
    fit_split: str | None = Field(default=None, description="fit only on rows whose split column says this; unset: on all rows")

    @classmethod
    def from_flat(cls, told: Mapping[str, object]) -> Self:
        """Settings from values by field name, whichever group has the field: no two share a name. Others keep their default.

        Raises:
            ValidationError: a value is out of bounds, or there is no such setting.
        """
        left, grouped = dict(told), dict[str, object]()
        for group, field in cls.model_fields.items():
            if isinstance(field.default, Frozen):
                grouped[group] = {name: left.pop(name) for name in type(field.default).model_fields if name in left}
        return cls.model_validate({**grouped, **left})
