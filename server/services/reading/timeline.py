"""One metric of one device through time, with what is typical, what its peers had, and where it was anomalous."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.domain.anomaly import Anomaly, AnomalyFilter
from server.domain.answers.answer import Span
from server.domain.answers.devices import Timeline, TimelinePoint
from server.domain.baseline import Level
from server.domain.run import Run
from server.domain.telemetry import Metric, Transform
from server.errors import InvalidInput, NotEnoughData
from server.pipeline.baselines import RawFallback
from server.pipeline.features import featurise, plan_features
from server.pipeline.normalize import Normalizer
from server.services.reading.readings import Wanted, values_of
from server.services.reading.shelf import Shown
from server.services.reading.sources import Sources, window
from server.services.reading.words import at, counted
from server.storage.moments import microseconds, moment

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

_SCALES = 3.0
_MOST_ANOMALIES = 5000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which device and metric, over which time (all of the run if unset), in how many points."""

    device: str
    metric: str
    since: datetime | None = None
    until: datetime | None = None
    points: int = 200


@dataclass(frozen=True, slots=True)
class _Own:
    """The device's rows in the window: measured, judged mean, and band of shape (3, rows); NaN where not known."""

    time: Times
    value: Floats
    mean: Floats
    band: Floats
    level: Level | None
    n: int


@dataclass(frozen=True, slots=True)
class _Steps:
    """Equal steps of time from `first` on, in microseconds."""

    first: int
    width: int
    count: int

    def of(self, time: Times) -> npt.NDArray[np.int64]:
        return (time - self.first) // self.width

    def average(self, time: Times, values: Floats) -> Floats:
        """Mean of the finite values of each step, NaN for a step without any."""
        known = np.isfinite(values)
        place = self.of(time[known])
        total = np.bincount(place, values[known], self.count)
        count = np.bincount(place, minlength=self.count)
        return np.divide(total, count, out=np.full(self.count, np.nan), where=count > 0)


def get_device_timeline(sources: Sources, run: Run, wanted: Stretch) -> Timeline:
    """The device's metric in at most `points` steps.

    Raises:
        NotFound: there is no such device or metric.
        InvalidInput: fewer than 2 or more than 2,000 points.
        NotEnoughData: the device has no row in the window.
    """
    if not 2 <= wanted.points <= 2000:
        raise InvalidInput(f"points {wanted.points} has to be from 2 to 2,000.")
    name, metric = sources.device(run.fleet, wanted.device), sources.metric(run.fleet, wanted.metric)
    first, last = window(wanted.since, wanted.until)
    shown = sources.shown(run)
    own = _own(sources, shown, name, metric, (first, last))
    interval = shown.snapshot.interval
    steps = _steps(own.time, (first, last), interval, wanted.points)
    cohort, peers = _peers(sources, shown, name, metric, steps)
    anomalies = _anomalies(sources, run, name, (first, last))
    points = _points(own, steps, cohort, anomalies)
    values = int(np.isfinite(own.value).sum())
    return Timeline(
        summary=f"{metric.name} of {name}: {values:,} values in {len(own.time):,} rows, {at(moment(int(own.time[0])))} to "
        f"{at(moment(int(own.time[-1])))}, {counted(len(anomalies), 'anomaly')}; {counted(len(points), 'point')} of "
        f"{steps.width * _MICROSECOND} beside {counted(peers, 'peer')}.",
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=first or moment(int(own.time[0])), last=last or moment(int(own.time[-1]))),
        telemetry_until=sources.until(run.fleet),
        device=name,
        metric=metric.name,
        unit=metric.unit,
        level=own.level,
        n=own.n,
        version=sources.stages.versions(run)[0],
        step=steps.width * _MICROSECOND,
        interval=interval,
        rows=len(own.time),
        values=values,
        peers=peers,
        anomalies=len(anomalies),
        points=points,
        truncated=steps.width * _MICROSECOND > interval,
    )


def _own(sources: Sources, shown: Shown, name: str, metric: Metric, between: tuple[datetime | None, datetime | None]) -> _Own:
    narrowed = shown.snapshot.model_copy(update={"metrics": (metric,)})
    code = shown.code.get(name)
    blocks = [] if code is None else list(sources.telemetry.blocks(narrowed, rows=1, devices=[code]))
    if not blocks:
        raise NotEnoughData(f"device {name} in run {shown.run.id}", 0, 1, "It came after the run froze its window.")
    block = pa.Table.from_batches(blocks).combine_chunks().to_batches()[0]
    time = block.column("time").to_numpy()
    inside = np.ones(len(time), bool)
    for bound, keeps in zip(between, (np.greater_equal, np.less_equal), strict=True):
        inside &= keeps(time, microseconds(bound)) if bound else True
    rows = np.flatnonzero(inside)
    if not len(rows):
        raise NotEnoughData(f"device {name} in that time", 0, 1, f"Its rows reach to {at(moment(int(time[-1])))}.")
    mean = featurise(block, plan_features(narrowed, shown.run.settings.features)).column(f"{metric.name}_mean").to_numpy()
    band, level, n = _band(sources, shown, block, metric, rows)
    value = block.column(metric.name).to_numpy(zero_copy_only=False)[rows]
    return _Own(time[rows], value, _measured(mean[rows], metric), band, level, n)


def _band(
    sources: Sources, shown: Shown, block: pa.RecordBatch, metric: Metric, rows: npt.NDArray[np.int64]
) -> tuple[Floats, Level | None, int]:
    """Typical minus 3 scales, typical, and plus 3 scales, in the metric's unit; and what the last row's rests on."""
    baselines = sources.stages.baseline_set(shown.run)
    place = [each.name for each in baselines.plan.metrics].index(metric.name)
    if isinstance(baselines, RawFallback):
        return np.full((3, len(rows)), np.nan), None, 0
    found = Normalizer(baselines).expectation(block, rows)
    centre, scale = found.centre[:, place], found.scale[:, place]
    band = np.stack([centre - _SCALES * scale, centre, centre + _SCALES * scale])
    clipped = np.clip(_measured(band, metric), *metric.bounds)
    return clipped, Level(found.level_names[found.level[-1, place]]), int(found.n[-1, place])


def _measured(values: Floats, metric: Metric) -> Floats:
    """Feature values in the metric's own unit."""
    return np.expm1(values) if metric.transform is Transform.LOG1P else values


def _steps(time: Times, between: tuple[datetime | None, datetime | None], interval: timedelta, points: int) -> _Steps:
    rhythm = max(interval // _MICROSECOND, 1)
    first = microseconds(between[0]) if between[0] else int(time[0])
    last = microseconds(between[1]) if between[1] else int(time[-1])
    first, last = max(first, int(time[0])), min(last, int(time[-1]))
    width = rhythm * max(1, -(-(last - first + 1) // (rhythm * points)))
    begin = first - first % rhythm
    if (last - begin) // width + 1 > points:
        width += rhythm
    return _Steps(begin, width, (last - begin) // width + 1)


def _peers(sources: Sources, shown: Shown, name: str, metric: Metric, steps: _Steps) -> tuple[Floats, int]:
    """Quartiles of the other devices of its cohort in each step, of shape (3, steps), and how many devices those are."""
    end = steps.first + steps.width * steps.count - 1
    cohort = shown.cohort_at(shown.code[name], moment(end))
    inside = (shown.cohort == cohort) & (shown.time >= steps.first) & (shown.time <= end)
    names = {shown.members.devices[code] for code in np.unique(shown.device[inside]).tolist()} - {name}
    wanted = Wanted(shown.snapshot, (metric,), moment(steps.first), moment(end))
    cohort_name = shown.cohorts[cohort] if cohort >= 0 else ""
    found = [steps.average(each.time, each.values[0]) for each in values_of(sources.telemetry, wanted, names, cohort_name)]
    quartiles = np.full((3, steps.count), np.nan)
    table = np.stack(found) if found else np.empty((0, steps.count))
    for step in range(steps.count):
        known = table[np.isfinite(table[:, step]), step]
        if len(known):
            quartiles[:, step] = np.quantile(known, (0.25, 0.5, 0.75))
    return quartiles, len(found)


def _anomalies(sources: Sources, run: Run, device: str, between: tuple[datetime | None, datetime | None]) -> list[Anomaly]:
    wanted = AnomalyFilter(fleet=run.fleet.name, run=run.id, device=device, start=between[0], end=between[1])
    return list(sources.records.anomalies(run.fleet.tenant, wanted, limit=_MOST_ANOMALIES)[0])


def _points(own: _Own, steps: _Steps, peers: Floats, anomalies: list[Anomaly]) -> tuple[TimelinePoint, ...]:
    lines = [steps.average(own.time, line) for line in (own.value, own.mean, *own.band)] + list(peers)
    names = ("value", "mean", "low", "centre", "high", "peers_low", "peers_centre", "peers_high")
    marked: defaultdict[int, list[Anomaly]] = defaultdict(list)
    for anomaly in anomalies:
        marked[(microseconds(anomaly.time) - steps.first) // steps.width].append(anomaly)
    found: list[TimelinePoint] = []
    for step in range(steps.count):
        numbers = {
            name: float(line[step]) if np.isfinite(line[step]) else None for name, line in zip(names, lines, strict=True)
        }
        about = {
            "time": moment(steps.first + step * steps.width),
            "anomalies": tuple(each.id for each in marked[step]),
            "severity": max((each.severity for each in marked[step]), default=None),
        }
        found.append(TimelinePoint.model_validate(numbers | about))
    return tuple(found)
