"""A device beside the devices of its cohort: each device counts once, with its median."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from server.domain.answers.answer import Contrast, Rate, Span
from server.domain.answers.devices import PeerComparison, PeerMetric
from server.domain.run import Run
from server.domain.telemetry import Metric
from server.services.reading.readings import DeviceValues, Wanted, medians, values_of
from server.services.reading.shelf import Flags, Shown
from server.services.reading.sources import Sources, window
from server.services.reading.words import figure, percent

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which device, by which metric (all if unset), over which time (all of the run if unset)."""

    device: str
    metric: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def compare_device_with_peers(sources: Sources, run: Run, wanted: Comparison) -> PeerComparison:
    """The device beside its cohort. Raises `NotFound` for a device or metric that there is not."""
    name = sources.device(run.fleet, wanted.device)
    if wanted.metric is not None:
        sources.metric(run.fleet, wanted.metric)
    first, last = window(wanted.since, wanted.until)
    shown = sources.shown(run)
    device = _code(shown, name)
    cohort = shown.cohort_at(device, last)
    rows = shown.between(first, last)
    inside = rows & (shown.cohort == cohort)
    metrics = tuple(each for each in shown.snapshot.metrics if wanted.metric in (None, each.name))
    peers = {shown.members.devices[code] for code in np.unique(shown.device[inside]).tolist()} | {name}
    cohort_name = shown.cohorts[cohort] if cohort >= 0 else ""
    reading = Wanted(shown.snapshot, metrics, first, last)
    found = list(values_of(sources.telemetry, reading, peers, cohort_name))
    compared = _compared(found, metrics, name)
    own = rows & (shown.device == device)
    own_rate, contrast = _rate(shown, own), _contrast(shown, device, cohort_name, (rows, inside))
    return PeerComparison(
        summary=_summary(name, compared, own_rate, contrast),
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=first or shown.span()[0], last=last or shown.span()[1]),
        telemetry_until=sources.until(run.fleet),
        device=name,
        cohort=cohort_name,
        metrics=tuple(compared),
        device_rate=own_rate,
        contrast=contrast,
    )


def _code(shown: Shown, name: str) -> int:
    """The device's code in the run, -1 if it came after the run froze its window."""
    return shown.code.get(name, -1)


def _rate(shown: Shown, rows: Flags) -> Rate:
    return Rate(count=int((shown.flagged & rows).sum()), of=int(rows.sum()), what="rows")


def _contrast(shown: Shown, device: int, cohort: str, rows: tuple[Flags, Flags]) -> Contrast:
    every, inside = rows
    peers = inside & (shown.device != device)
    return Contrast(group=cohort or "no cohort", inside=_rate(shown, peers), outside=_rate(shown, every & ~inside))


def _compared(found: list[DeviceValues], metrics: tuple[Metric, ...], name: str) -> list[PeerMetric]:
    """Each metric, farthest from the cohort's middle first, in units of the cohort's spread."""
    middle = medians([each.values for each in found])
    own = [number for number, each in enumerate(found) if each.device == name]
    distances: list[tuple[float, PeerMetric]] = []
    for index, metric in enumerate(metrics):
        column = middle[:, index] if len(middle) else np.empty(0)
        value = float(column[own[0]]) if own else np.nan
        count = int(np.isfinite(found[own[0]].values[index]).sum()) if own else 0
        distances.append(_placed(metric, column[np.isfinite(column)], value, count))
    return [each for _, each in sorted(distances, key=lambda pair: (-pair[0], pair[1].metric))]


def _placed(metric: Metric, column: Floats, value: float, rows: int) -> tuple[float, PeerMetric]:
    known = np.isfinite(value)
    q1, centre, q3 = (float(q) for q in np.quantile(column, (0.25, 0.5, 0.75))) if len(column) else (None, None, None)
    others = len(column) - 1
    spread = (q3 - q1) or float(np.ptp(column)) or 1.0 if q1 is not None and q3 is not None else 1.0
    below = int((column < value).sum()) + 0.5 * (int((column == value).sum()) - 1) if known else 0.0
    return abs(value - centre) / spread if known and centre is not None else -1.0, PeerMetric(
        metric=metric.name,
        unit=metric.unit,
        device_median=value if known else None,
        device_rows=rows,
        cohort_median=centre,
        cohort_q1=q1,
        cohort_q3=q3,
        devices=len(column),
        rank=1 + int((column > value).sum()) if known else None,
        percentile=100 * below / others if known and others else None,
    )


def _summary(name: str, compared: list[PeerMetric], own: Rate, contrast: Contrast) -> str:
    rates = (
        f"{own.count:,} of {own.of:,} rows of {name} are anomalous ({percent(own.share)}), {contrast.inside.count:,} of "
        f"{contrast.inside.of:,} of its cohort ({percent(contrast.inside.share)}), {contrast.outside.count:,} of "
        f"{contrast.outside.of:,} of the rest ({percent(contrast.outside.share)})"
    )
    first = compared[0] if compared else None
    if first is None or first.device_median is None or first.rank is None:
        return f"{rates}."
    unit = f" {first.unit}" if first.unit else ""
    return (
        f"{rates}; farthest from its peers is {first.metric}: median {figure(first.device_median)}{unit} against "
        f"{figure(first.cohort_median)}{unit}, rank {first.rank:,} of {first.devices:,} devices."
    )
