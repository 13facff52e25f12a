"""What the page shows of a suggestion: each move with its unit, settings before and after, counts, and a small chart."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.app import App
from server.domain.baseline import Adjustment, Statistic
from server.domain.suggestion import GateFinding, Preview, Suggestion
from server.domain.telemetry import Metric, Transform

_MOST_DAYS = 60
_BAR, _GAP, _HEIGHT = 5, 4, 80


@dataclass(frozen=True, slots=True)
class Move:
    """How far what is typical for one feature of one group would move."""

    adjustment: Adjustment
    unit: str

    @property
    def then(self) -> float:
        """The group's own median as it was, moved."""
        return self.adjustment.base_median + self.adjustment.amount


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that would be another."""

    name: str
    now: str
    then: str


@dataclass(frozen=True, slots=True)
class Count:
    """Anomalies of one verdict that would go, and that would come."""

    verdict: str
    removed: int
    added: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart: its place, and the heights of both bars."""

    day: str
    before: int
    after: int
    x: int
    before_height: float
    after_height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Anomalies by day, before and after."""

    bars: Sequence[Bar]
    width: int
    height: int = _HEIGHT
    bar: int = _BAR


def moves(app: App, suggestion: Suggestion) -> list[Move]:
    """The suggestion's adjustments, each with the unit of its feature."""
    known = app.records.metrics(suggestion.fleet)
    return [Move(each, unit_of(each.feature, known)) for each in suggestion.adjustments]


def unit_of(feature: str, metrics: Sequence[Metric]) -> str:
    """The unit that a feature's shift is in; empty where none is known. Shifts of log-transformed metrics have none."""
    endings = [f"_{statistic.value}" for statistic in Statistic]
    for metric in metrics:
        if any(feature == f"{metric.name}{ending}" for ending in endings):
            return "in logarithms" if metric.transform is Transform.LOG1P else metric.unit
    return ""


def changed_settings(app: App, suggestion: Suggestion) -> list[Setting]:
    """The detector's settings that would be others than those of the run."""
    if suggestion.settings is None:
        return []
    now = app.records.run(suggestion.fleet.tenant, suggestion.run).settings.detector.model_dump(mode="json")
    then = suggestion.settings.model_dump(mode="json")
    return [Setting(name, str(now[name]), str(then[name])) for name in then if then[name] != now[name]]


def counted(preview: Preview | None) -> list[Count]:
    """Removed and added anomalies by verdict."""
    if preview is None:
        return []
    names = sorted({*preview.removed, *preview.added})
    return [Count(name, preview.removed.get(name, 0), preview.added.get(name, 0)) for name in names]


def unsettled(preview: Preview | None) -> list[GateFinding]:
    """Findings of the gate that nobody can accept: with one of them there is nothing to approve."""
    return [each for each in preview.gate if not each.passed and not each.overridable] if preview else []


def chart(preview: Preview | None) -> Chart | None:
    """The last days of the window; None without a day."""
    days = preview.by_day[-_MOST_DAYS:] if preview else ()
    most = max((max(before, after) for _, before, after in days), default=0)
    if not most:
        return None
    step = 2 * _BAR + _GAP
    bars = [
        Bar(day, before, after, place * step, _HEIGHT * before / most, _HEIGHT * after / most)
        for place, (day, before, after) in enumerate(days)
    ]
    return Chart(bars, len(bars) * step)
