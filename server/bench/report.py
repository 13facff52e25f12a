"""What a benchmark found: one row a promise, with what both sides took, and how cost grows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path


class Unit(StrEnum):
    """What a figure counts. Lower is better for all but rates."""

    CPU_SECONDS = "CPU s"
    MIB = "MiB"
    SECONDS = "s"
    MICROSECONDS = "µs"
    PER_SECOND = "a second"


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One promise: `ratio`, how many times better ours is, has to be `owed` at least; `limit` bounds our own figure."""

    name: str
    unit: Unit
    ours: float | None
    theirs: float | None = None
    against: str = ""
    ratio: float | None = None
    owed: float | None = None
    limit: float | None = None
    note: str = ""
    """Why there is no figure, or what besides has to be known."""

    @property
    def met(self) -> bool | None:
        """Whether the promise is kept; None where nothing is owed or nothing could be measured."""
        if self.ours is None or (self.owed is None and self.limit is None):
            return None
        if self.owed is not None and (self.ratio is None or self.ratio < self.owed):
            return False
        if self.limit is None:
            return True
        return self.ours >= self.limit if self.unit is Unit.PER_SECOND else self.ours <= self.limit


@dataclass(frozen=True, slots=True)
class Growth:
    """Our whole walk on one size of telemetry, everything else as usual."""

    varied: str
    rows: int
    devices: int
    metrics: int
    cpu: float
    peak: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All rows of one run, in which the two sides took turns; figures are medians."""

    size: str
    rounds: int
    machine: dict[str, str]
    rows: tuple[BenchRow, ...]
    growth: tuple[Growth, ...] = ()
    seconds: float = 0.0
    stages: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    """CPU seconds by side and stage of the walk."""

    @property
    def lost(self) -> tuple[BenchRow, ...]:
        """Rows whose promise is not kept."""
        return tuple(row for row in self.rows if row.met is False)

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write `bench-<size>.json` and, if matplotlib is installed, a plot beside it; returns what was written."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"bench-{self.size}.json"
        rows = [asdict(row) | {"met": row.met} for row in self.rows]
        path.write_text(json.dumps(asdict(self) | {"rows": rows}, indent=2, ensure_ascii=False) + "\n")
        try:
            from server.bench.plot import draw  # noqa: PLC0415 - matplotlib is a development dependency
        except ImportError:
            return (path,)
        return (path, draw(self, path.with_suffix(".png")))


def compared(
    name: str,
    unit: Unit,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    against: str = "pandas, scikit-learn, SQLModel",
    promise: tuple[float | None, float | None] = (None, None),
    note: str = "",
) -> BenchRow:
    """A row from both sides' figures, round by round; `promise` is the ratio owed and the limit of our own figure."""
    mine, other = middle(ours), middle(theirs)
    ratio = None
    if mine and other:
        ratio = mine / other if unit is Unit.PER_SECOND else other / mine
    return BenchRow(name, unit, mine, other, against if theirs else "", ratio, *promise, note)


def middle(figures: Sequence[float]) -> float | None:
    """The median, None of nothing."""
    ordered = sorted(figures)
    if not ordered:
        return None
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])
