"""What a synthetic fleet contains, declared: size, time, and which incidents, look-alikes and faults happen in it."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from server.connectors.synthetic.faults import FAULTS
from server.connectors.synthetic.incidents import INCIDENTS
from server.connectors.synthetic.look_alikes import LOOK_ALIKES
from server.domain.telemetry import Frozen


class Tier(StrEnum):
    """How hard the incidents are to see."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


STRENGTH: dict[Tier, float] = {Tier.EASY: 5.0, Tier.MEDIUM: 3.5, Tier.HARD: 2.0}
"""Size of an incident in the device's own noise scale of the metric."""


class FleetPlan(Frozen):
    """Everything that decides a fleet's rows: equal plans give equal rows."""

    name: str = "demo"
    devices: int = Field(default=300, ge=1, le=1_000_000)
    days: int = Field(default=30, ge=2, le=730)
    interval: timedelta = Field(default=timedelta(hours=1), description="between a device's rows; a whole part of an hour")
    start: datetime = Field(
        default=datetime(2025, 3, 3, tzinfo=UTC), description="midnight UTC; from the default, clocks change in both zones"
    )
    seed: int = Field(default=4, ge=0)
    tiers: tuple[Tier, ...] = Field(
        default=tuple(Tier), description="each incident draws its tier from these; none: no incident"
    )
    incidents: tuple[str, ...] = tuple(INCIDENTS)
    look_alikes: tuple[str, ...] = tuple(LOOK_ALIKES)
    faults: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={name: fault.share for name, fault in FAULTS.items()}, description="share of devices that each fault strikes"
    )

    @field_validator("interval")
    @classmethod
    def _whole_part_of_an_hour(cls, interval: timedelta) -> timedelta:
        if interval <= timedelta(0) or timedelta(hours=1) % interval:
            raise ValueError(f"interval {interval} does not divide an hour; take 1 h, 30, 15 or 5 min")
        return interval

    @field_validator("start")
    @classmethod
    def _midnight_utc(cls, start: datetime) -> datetime:
        moment = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
        return moment.replace(hour=0, minute=0, second=0, microsecond=0)

    @model_validator(mode="after")
    def _only_known_kinds(self) -> Self:
        for kind, wanted, known in (
            ("incident", self.incidents, INCIDENTS),
            ("look-alike", self.look_alikes, LOOK_ALIKES),
            ("fault", self.faults, FAULTS),
        ):
            if strange := sorted(set(wanted) - set(known)):
                raise ValueError(f"no {kind} {strange[0]!r}; known are {', '.join(known)}")
        return self

    @property
    def steps(self) -> int:
        """Rows of a device that is there from start to end and loses none."""
        return self.span(24 * self.days)

    @property
    def step_hours(self) -> float:
        """Length of the interval in hours."""
        return self.interval.total_seconds() / 3600

    def span(self, hours: float) -> int:
        """That many hours in steps, rounded."""
        return round(hours / self.step_hours)

    def moment(self, step: int) -> datetime:
        """The time (UTC) of a step."""
        return self.start + step * self.interval


PLANS: dict[str, FleetPlan] = {
    "demo": FleetPlan(),
    "easy": FleetPlan(name="easy", tiers=(Tier.EASY,)),
    "medium": FleetPlan(name="medium", tiers=(Tier.MEDIUM,)),
    "hard": FleetPlan(name="hard", tiers=(Tier.HARD,)),
    "null": FleetPlan(name="null", tiers=(), incidents=(), look_alikes=(), faults={}),
}
"""The fleets that can be opened by name."""
