"""Trouble of the telemetry itself, which no device is charged with: changed units, silence, gaps, late rows, wrong clocks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.domain.telemetry import FleetHealth, Rejection
from server.pipeline.events import Events
from server.pipeline.exposure import distinct_sorted
from server.pipeline.presence import Codes, Presence, Rows
from server.pipeline.scopes import ScopeKind

UNIT_FACTORS = (60.0, 1000.0, 1024.0, 3600.0, 86_400.0, 1e6, 1024.0**2)
"""Between units of time and of size; smaller factors are too easily a real change."""
_FACTOR_TOLERANCE = 0.2
_UNIT_DEVICES = 5
SILENT_INTERVALS = 24
SILENT_SHARE = 0.5
_SILENT_DEVICES = 3
GAP_SHARE = 0.5
_GAP_BUCKETS = 3
LATE_SHARE = 0.1
WRONG_CLOCK_SHARE = 0.01
_WEEK_HOURS, _DAY_HOURS, _HOUR = 168, 24, 3_600_000_000


@dataclass(frozen=True, slots=True)
class Trouble:
    """One finding: what, of which devices out of how many, when (microseconds since 1970 UTC), and how bad (0-100)."""

    words: str
    signature: str
    scope: dict[str, str]
    span: tuple[int, int]
    devices: Codes
    devices_in_scope: int
    severity: float


def unit_factor(events: Events, chosen: Rows, metric: int) -> float | None:
    """The factor between two units that those events' values differ by from what is typical; None if it is not one.

    The median ratio over at least five devices lies within a fifth of the factor, and so do half of the events.
    """
    ratio = events.ratio[chosen, metric]
    known = chosen[np.isfinite(ratio) & (ratio > 0)]
    if len(set(events.device[known].tolist())) < _UNIT_DEVICES:
        return None
    logs = np.log(events.ratio[known, metric])
    nearest = min((*UNIT_FACTORS, *(1 / factor for factor in UNIT_FACTORS)), key=lambda one: abs(np.median(logs) - np.log(one)))
    near = np.abs(logs - np.log(nearest)) <= _FACTOR_TOLERANCE
    off = abs(float(np.median(logs)) - float(np.log(nearest)))
    return nearest if off <= _FACTOR_TOLERANCE and 2 * int(near.sum()) >= len(logs) else None


def find_trouble(presence: Presence, kinds: tuple[ScopeKind, ...], health: FleetHealth | None) -> Iterator[Trouble]:
    """Silent sites or cohorts, gaps of the whole fleet, and, where the store's health is given, late rows and wrong clocks."""
    if len(presence.device) == 0:
        return
    yield from _silences(presence, kinds)
    yield from _gaps(presence)
    if health is not None:
        yield from _arrivals(presence, health)


def _silences(presence: Presence, kinds: tuple[ScopeKind, ...]) -> Iterator[Trouble]:
    """Stores, customers and cohorts where at least half of the devices fell silent within a day, widest group first."""
    ends = np.append(np.flatnonzero(np.diff(presence.device)), len(presence.device) - 1)
    device, last = presence.device[ends], presence.last[ends]
    # a clock that runs ahead must not make everyone else look silent
    now = int(np.quantile(last, 0.95, method="lower"))
    patience = SILENT_INTERVALS * presence.interval
    silent = last < now - patience
    groups: list[tuple[dict[str, str], npt.NDArray[np.bool_]]] = [({}, np.ones(len(ends), bool))]
    for kind in kinds:
        value = kind.value_of[presence.key(kind.key)[ends]]
        counts = np.bincount(value[silent & (value >= 0)], minlength=len(kind.values))
        groups += [(kind.scope(int(one)), value == one) for one in np.flatnonzero(counts >= _SILENT_DEVICES)]
    for scope, members in sorted(groups, key=lambda group: -int(group[1].sum())):
        quiet = _together(np.flatnonzero(silent & members), last, patience)
        if len(quiet) >= max(_SILENT_DEVICES, SILENT_SHARE * members.sum()):
            silent[quiet] = False
            span = (int(last[quiet].min()), now)
            share = len(quiet) / int(members.sum())
            yield Trouble("silent since", "silent", scope, span, device[quiet], int(members.sum()), 100.0 * share)


def _together(quiet: Rows, last: Rows, width: int) -> Rows:
    """The largest part of the devices that fell silent within the width of each other."""
    quiet = quiet[np.argsort(last[quiet], kind="stable")]
    moments = last[quiet]
    until = np.searchsorted(moments, moments + width, "right")
    if len(quiet) == 0:
        return quiet
    best = int((until - np.arange(len(quiet))).argmax())
    return np.sort(quiet[best : until[best]])


def _gaps(presence: Presence) -> Iterator[Trouble]:
    """Stretches of at least three intervals with less than half of the rows that are usual at that hour."""
    first, last = int(presence.bucket[0]), int(presence.bucket[-1])
    span = last - first + 1
    if span * presence.interval < 3 * _DAY_HOURS * _HOUR or span > 100 * len(presence.bucket):
        return
    rows = np.zeros(span)
    rows[presence.bucket - first] = presence.rows_in_bucket
    there = _devices_by_bucket(presence, first, span)
    filled = rows / np.maximum(there, 1)
    hours = _WEEK_HOURS if span * presence.interval >= 3 * _WEEK_HOURS * _HOUR else _DAY_HOURS
    hour = (first + np.arange(span)) * presence.interval // _HOUR % hours
    usual = np.array([np.median(filled[hour == one]) if (hour == one).any() else 0.0 for one in range(hours)])[hour]
    short = (usual >= GAP_SHARE) & (filled < GAP_SHARE * usual) & (there >= _SILENT_DEVICES)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], short, [False]))))
    for begin, end in edges.reshape(-1, 2):
        if end - begin >= _GAP_BUCKETS:
            missing = 1.0 - rows[begin:end].sum() / (usual * there)[begin:end].sum()
            moments = (int(first + begin) * presence.interval, int(first + end) * presence.interval)
            words, devices = f"{100 * missing:.0f} % of the usual rows missing", round(float(there[begin:end].mean()))
            yield Trouble(words, "gap", {}, moments, np.empty(0, np.int32), devices, 100.0 * missing)


def _devices_by_bucket(presence: Presence, first: int, span: int) -> npt.NDArray[np.float64]:
    """How many devices are between their first and last row, by bucket."""
    starts = np.flatnonzero(np.diff(presence.device, prepend=-1))
    ends = np.append(starts[1:], len(presence.device)) - 1
    begin = presence.first[starts] // presence.interval - first
    end = presence.last[ends] // presence.interval - first + 1
    change = np.bincount(begin, minlength=span + 1).astype(float) - np.bincount(end, minlength=span + 1)
    return np.cumsum(change, dtype=np.float64)[:span]


def _arrivals(presence: Presence, health: FleetHealth) -> Iterator[Trouble]:
    span = (int(presence.first.min()), int(presence.last.max()))
    nobody, devices = np.empty(0, np.int32), distinct_sorted(presence.device)
    if health.late_share >= LATE_SHARE:
        words = f"{100 * health.late_share:.0f} % of {health.rows:,} rows arrived late"
        yield Trouble(words, "late", {}, span, nobody, devices, 100.0 * health.late_share)
    wrong = sum(health.rejected.get(reason, 0) for reason in (Rejection.FUTURE, Rejection.BEFORE_2000))
    if wrong >= WRONG_CLOCK_SHARE * max(health.rows_in, 1):
        words = f"{wrong:,} of {health.rows_in:,} rows kept aside for a clock before 2000 or in the future"
        yield Trouble(words, "clock", {}, span, nobody, devices, 100.0 * min(1.0, wrong / max(health.rows_in, 1)))
