"""Telemetry as it arrives: metrics and their catalogue, column roles, and what became of each row."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.errors import InvalidInput

LARGEST = 1e30
"""No measurement is larger, either way.

What is beyond counts as missing, as infinity does, so that sums and squares are finite.
"""

NAME = r"^[a-z0-9][a-z0-9_-]{0,31}$"
"""How a tenant and a fleet may be called: a fleet's name begins the ids of its runs, which are the names of folders."""


class Frozen(BaseModel):
    """Base of the domain's value objects: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HarmfulDirection(StrEnum):
    """Which way a metric moves when something is wrong."""

    HIGHER = "higher"
    LOWER = "lower"
    BOTH = "both"


class Transform(StrEnum):
    """What is done to a metric's values before features are made of them."""

    NONE = "none"
    LOG1P = "log1p"


class Metric(Frozen):
    """What is known of one metric. Values outside the bounds, or beyond `LARGEST`, and sentinels count as missing."""

    name: str
    unit: str = ""
    domain: str = Field(
        default="other", description="the part of the device that it speaks of, such as battery or connectivity"
    )
    harmful: HarmfulDirection = HarmfulDirection.BOTH
    lower: float | None = None
    upper: float | None = None
    resolution: float | None = Field(default=None, gt=0, description="smallest step the metric can take, where it is known")
    transform: Transform = Transform.NONE
    sentinels: tuple[float, ...] = Field(default=(), description="values that stand for 'no reading'")

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value that counts; within `LARGEST` also where none is stated."""
        lower, upper = self.lower, self.upper
        return -LARGEST if lower is None else max(lower, -LARGEST), LARGEST if upper is None else min(upper, LARGEST)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"metric {self.name}: lower bound {self.lower} is not below upper bound {self.upper}")
        return self


class ColumnMapping(Frozen):
    """Which source column plays which role. Every source column is in exactly one role or in `ignored`."""

    device: str
    time: str
    arrival: str | None = None
    cohort: tuple[str, ...] = ()
    store: str | None = None
    customer: str | None = None
    split: str | None = None
    metrics: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class Fleet(Frozen):
    """The devices of one tenant that share metrics and cohort columns: the unit that baselines are kept for."""

    tenant: str = Field(default="default", pattern=NAME)
    name: str = Field(default="default", pattern=NAME)

    @classmethod
    def named(cls, tenant: str, name: str) -> Self:
        """The tenant's fleet of that name. Raises `InvalidInput` for a tenant or a name that there cannot be."""
        try:
            return cls(tenant=tenant, name=name)
        except ValidationError as error:
            wrong = error.errors()[0]
            rule = "write 1 to 32 small letters, digits, - or _, with no - or _ in front."
            raise InvalidInput(f"{wrong['loc'][0]} {wrong['input']!r}: {rule}") from error


class Rejection(StrEnum):
    """Why a row was kept aside instead of stored."""

    NO_DEVICE = "no_device"
    NO_TIME = "no_time"
    MALFORMED_TIME = "malformed_time"
    MALFORMED_VALUE = "malformed_value"
    BEFORE_2000 = "before_2000"
    FUTURE = "future"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class IngestReport(Frozen):
    """What one ingest did: `rows_in == rows_kept + sum(rejected.values())` always holds."""

    rows_in: int
    rows_kept: int
    rejected: dict[Rejection, int] = {}
    late: int = Field(default=0, description="kept rows that arrived more than the lateness bound after their event")
    out_of_order: int = Field(default=0, description="kept rows that came after a later row of their device")
    values_dropped: dict[str, int] = Field(
        default={}, description="per metric: infinite, sentinel or out-of-bounds values made missing"
    )
    new_devices: int = 0
    new_metrics: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _every_row_accounted_for(self) -> Self:
        if self.rows_in != self.rows_kept + sum(self.rejected.values()):
            raise ValueError(f"{self.rows_in} rows in, {self.rows_kept} kept, {sum(self.rejected.values())} rejected")
        return self


class FleetHealth(Frozen):
    """What is stored of a fleet and what was not: `rows_in == rows + sum(rejected.values()) + pruned` over all its ingests."""

    fleet: Fleet
    rows_in: int = Field(description="rows of all ingests, repetitions included")
    rows: int = Field(description="rows stored now")
    devices: int
    first: datetime | None = Field(description="first event time stored")
    last: datetime | None = Field(description="last event time stored")
    rejected: dict[Rejection, int] = {}
    pruned: int = Field(default=0, description="rows that were removed by age")
    late_share: float = Field(ge=0, le=1, description="share of stored rows that are late")
    missing_share: dict[str, float] = Field(default={}, description="per metric: share of stored rows without a value")


class Snapshot(Frozen):
    """A run's frozen window of telemetry: later ingests do not change what it reads."""

    fleet: Fleet
    sequence: int = Field(description="the last ingest that it sees")
    start: datetime | None = Field(default=None, description="first event time read, inclusive")
    end: datetime | None = Field(default=None, description="last event time read, inclusive")
    digest: str = Field(description="hash of its rows, whatever order they came in")
    rows: int
    devices: int
    metrics: tuple[Metric, ...]
    cohort_columns: tuple[str, ...] = ()
    interval: timedelta = Field(description="median time between a device's rows: its sampling rhythm")


@dataclass(frozen=True, slots=True)
class Members:
    """Names behind the integer codes of a snapshot's rows.

    Codes are ranks in sorted order, so they do not depend on arrival.
    """

    devices: tuple[str, ...]
    cohorts: tuple[tuple[str, ...], ...]
    stores: tuple[str, ...]
    customers: tuple[str, ...]
    rows: tuple[int, ...]
    """Rows of each device in the snapshot, by device code."""


def blocks_of_devices(rows_of: Sequence[int], rows: int, devices: Iterable[int] | None = None) -> Iterator[list[int]]:
    """Device codes in ascending runs that hold about `rows` rows together; a larger device is a run of its own.

    `rows_of` is how many rows each code has; `devices` restricts to some codes.
    """
    block: list[int] = []
    held = 0
    for code in range(len(rows_of)) if devices is None else sorted(set(devices)):
        if block and held + rows_of[code] > rows:
            yield block
            block, held = [], 0
        block.append(code)
        held += int(rows_of[code])
    if block:
        yield block


class Change(Frozen):
    """A row of the change log: something that was rolled out, somewhere, at some time."""

    time: datetime
    kind: str
    description: str
    scope: dict[str, str] = Field(default={}, description="which devices: column name to value, such as OsVersionId to 13.4")
    before: str = ""
    after: str = ""
