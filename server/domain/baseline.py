"""What is normal, for whom: levels, statistics and versions of baselines."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from server.domain.telemetry import Fleet, Frozen


class Level(StrEnum):
    """Groups that baselines are kept for, widest first.

    A site is a store's (or customer's) devices of one cohort, so they nest.
    """

    GLOBAL = "global"
    COHORT = "cohort"
    SITE = "site"
    DEVICE = "device"


class Statistic(StrEnum):
    """What a feature says of a metric's window."""

    MEAN = "mean"
    STD = "std"
    CHANGE = "change"


class Baseline(Frozen):
    """Median and robust scale (1.4826 x MAD, floored) of one feature for one group."""

    feature: str
    level: Level
    group: str
    median: float
    scale: float = Field(gt=0)
    n: int


class Adjustment(Frozen):
    """An approved or suggested move of what is typical for one feature of one group, from a moment on.

    `amount` is what is added to the centre of every row of the group at or after `since`, in the feature's own unit. It is
    kept across new estimates, and shrinks as the group's own median moves towards `base_median + amount`.
    """

    level: Level
    group: str
    feature: str
    amount: float = Field(description="the effective shift: learning rate times the full adjustment, within bounds")
    full: float = Field(description="the robust estimate of the whole displacement")
    base_median: float = Field(description="the group's own median when this was suggested")
    scale: float = Field(gt=0, description="the group's robust scale then")
    since: datetime | None = Field(default=None, description="the onset of the new normal; None: all rows")

    @property
    def in_scales(self) -> float:
        """The effective shift in robust scales of the group."""
        return self.amount / self.scale


class BaselineVersion(Frozen):
    """One immutable set of baselines of a fleet; the newest one whose `expired` is unset is in force."""

    fleet: Fleet
    version: int = Field(ge=1)
    run: str
    digest: str
    artifact: str
    created: datetime
    expired: datetime | None = None
    reason: str = ""
    groups: dict[Level, int] = Field(default={}, description="how many groups each level has")
    adjustments: tuple[Adjustment, ...] = Field(default=(), description="the whole overlay of approved adjustments")


class DetectorVersion(Frozen):
    """One trained detector of a fleet and the threshold that was calibrated for it."""

    fleet: Fleet
    version: int = Field(ge=1)
    run: str
    detector: str
    digest: str
    artifact: str
    baseline_version: int | None = Field(description="None: trained on raw features, because baselines had failed")
    threshold: float
    calibration: str = Field(description="how the threshold was put there, such as 'contamination 0.03 of 50,000 rows'")
    calibration_key: str = Field(
        default="", description="equal for detectors whose scores are comparable, which share a threshold"
    )
    created: datetime
