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
