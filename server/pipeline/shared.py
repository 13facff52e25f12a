"""Shared trouble: events of many devices that one cohort value or site tells apart from the rest of the fleet.

A candidate is a scope, a metric and a way to look at time: *near* (onsets within one feature window) or *rolling* (onsets at
any time, as an update wave makes them: what is shared is the scope, not the moment), the latter over all events and over long
ones only. The candidate that sets affected devices apart best, by the G statistic, is taken with its events, ties to the
narrower scope; then the rest is looked at again. A hypergeometric test with Bonferroni over all candidates and window positions
decides when to stop.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from heapq import heapify, heappop, heappush
from itertools import product

import numpy as np
import numpy.typing as npt

from server.pipeline.events import Events
from server.pipeline.exposure import Counts, Exposure, Rows, Span, devices_of
from server.pipeline.presence import Presence
from server.pipeline.scopes import ScopeKind, separation

Flags = npt.NDArray[np.bool_]

MIN_DEVICES = 3
MIN_LIFT = 3.0
MIN_SHARE = 0.1
"""Of a scope's devices; below that a scope says little about the devices in it."""
ALPHA = 0.01
FLEET_SHARE = 0.5
"""When half of the devices present start within one window, it is the fleet's incident, unless a scope explains it."""
LONG_ROWS = 24


class Look(IntEnum):
    """How onsets must lie in time."""

    NEAR = 0
    ROLLING = 1
    ROLLING_LONG = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scope (kind and value, as positions), a metric and a look."""

    kind: int
    value: int
    metric: int
    look: Look


@dataclass(frozen=True, slots=True)
class Shared:
    """Events that one scope explains; `kind` and `value` are -1 for the whole fleet."""

    kind: int
    value: int
    metrics: tuple[int, ...]
    events: Rows
    rolling: bool
    elsewhere: float
    chance: float
    """Probability of so many affected devices in the scope by chance, times the number of candidates."""


@dataclass(frozen=True, slots=True)
class _Sighting:
    events: Rows
    span: Span
    counts: Counts


class SharedTrouble:
    """The search over one set of events. `near` is the width of a window of onsets in microseconds."""

    def __init__(self, events: Events, presence: Presence, kinds: tuple[ScopeKind, ...], near: int) -> None:
        self._events, self._kinds, self._near = events, kinds, near
        self._exposure = Exposure(events, presence, kinds)
        self._whole: Span = (int(presence.first.min()), int(presence.last.max())) if len(presence.first) else (0, 0)
        self._free = np.ones(len(events.start), bool)
        by_onset = np.argsort(events.start, kind="stable")
        self._by_metric = [by_onset[events.signature[by_onset, metric]] for metric in range(len(events.metrics))]
        self._open_by_metric: dict[tuple[int, Look], Rows] = {}
        self._members = {
            (kind, metric): _by_value(self._exposure.of_event[kind][rows], rows, len(kinds[kind].values))
            for kind, (metric, rows) in product(range(len(kinds)), enumerate(self._by_metric))
        }

    def find(self) -> tuple[list[Shared], Rows]:
        """What is shared, best separated first, and the events left over."""
        found = [*self._scoped(), *self._fleet_wide()]
        return found, np.flatnonzero(self._free)

    def _scoped(self) -> list[Shared]:
        found: list[Shared] = []
        heap = [(*self._rank(candidate, sighting), candidate) for candidate, sighting in self._first_sightings()]
        heapify(heap)
        while heap:
            *rank, candidate = heappop(heap)
            sighting = self._best(candidate)
            if sighting is None:
                continue
            now = self._rank(candidate, sighting)
            if list(now) != rank:
                heappush(heap, (*now, candidate))
                continue
            chance = self._chance(sighting.counts)
            if chance <= ALPHA:
                self._take(found, candidate, sighting, chance)
                heappush(heap, (*now, candidate))
        return found

    def _first_sightings(self) -> Iterator[tuple[Candidate, _Sighting]]:
        for (kind, metric), members in self._members.items():
            for value, look in product(range(len(members)), Look):
                if len(members[value]) >= MIN_DEVICES:
                    candidate = Candidate(kind, value, metric, look)
                    if (sighting := self._best(candidate)) is not None:
                        yield candidate, sighting

    def _rank(self, candidate: Candidate, sighting: _Sighting) -> tuple[float, ...]:
        """Best separation first; ties go to the narrower scope, then the nearer look, then the order of names."""
        kind, counts = self._kinds[candidate.kind], sighting.counts
        place = (candidate.kind, candidate.value, candidate.metric)
        return -round(counts.separation, 6), counts.exposed, -len(kind.columns), candidate.look, *place

    def _best(self, candidate: Candidate) -> _Sighting | None:
        """The free events that the candidate explains best now, if they are enough to be considered."""
        inside = self._open(self._members[candidate.kind, candidate.metric][candidate.value], candidate.look)
        if len(inside) < MIN_DEVICES:
            return None
        everywhere = self._open_everywhere(candidate.metric, candidate.look)
        span = self._whole
        if candidate.look is Look.NEAR:
            inside, everywhere, span = self._window(candidate, inside, everywhere)
        if devices_of(self._events.device[inside]) < MIN_DEVICES:
            return None
        counts = self._exposure.counts(candidate.kind, candidate.value, inside, everywhere, span)
        enough = counts.unexposed > 0 and counts.share >= MIN_SHARE and counts.lift >= MIN_LIFT and counts.separation > 0
        return _Sighting(inside, span, counts) if enough else None

    def _window(self, candidate: Candidate, inside: Rows, everywhere: Rows) -> tuple[Rows, Rows, Span]:
        """The window of onsets, beginning with one inside, that sets the scope apart most."""
        onsets, all_onsets = self._events.start[inside], self._events.start[everywhere]
        until = np.searchsorted(onsets, onsets + self._near, "right")
        all_from = np.searchsorted(all_onsets, onsets, "left")
        all_until = np.searchsorted(all_onsets, onsets + self._near, "right")
        count = (until - np.arange(len(inside))).astype(float)
        exposed, unexposed = self._exposure.exposed(candidate.kind, candidate.value, self._whole)
        others = np.minimum(all_until - all_from - count, unexposed)
        gain = separation(np.minimum(count, exposed), np.array(float(exposed)), others, np.array(max(unexposed, 0.5)))
        best = int(gain.argmax())
        span = (int(onsets[best]), int(onsets[best]) + self._near)
        return inside[best : until[best]], everywhere[all_from[best] : all_until[best]], span

    def _open(self, rows: Rows, look: Look) -> Rows:
        rows = rows[self._free[rows]]
        return rows[self._events.rows[rows] >= LONG_ROWS] if look is Look.ROLLING_LONG else rows

    def _open_everywhere(self, metric: int, look: Look) -> Rows:
        """Free events of a metric by onset, kept until events are taken."""
        if (metric, look) not in self._open_by_metric:
            self._open_by_metric[metric, look] = self._open(self._by_metric[metric], look)
        return self._open_by_metric[metric, look]

    def _chance(self, counts: Counts) -> float:
        windows = 2 + (self._whole[1] - self._whole[0]) / max(self._near, 1)
        tests = windows * sum(len(kind.values) for kind in self._kinds) * len(self._events.metrics)
        return min(counts.chance * tests, 1.0)

    def _take(self, found: list[Shared], candidate: Candidate, sighting: _Sighting, chance: float) -> None:
        """Take the events with what belongs to them; a later burst of the same trouble joins the incident it follows."""
        rolling = candidate.look is not Look.NEAR
        events = self._with_kin(candidate, sighting, rolling=rolling)
        self._free[events] = False
        self._open_by_metric.clear()
        metrics = self._events.leading(events)
        for place, known in enumerate(found):
            if (known.kind, known.value) == (candidate.kind, candidate.value) and self._continues(known, events, metrics):
                both = np.union1d(known.events, events)
                merged = self._events.leading(both)
                found[place] = Shared(*_scope(known), merged, both, known.rolling or rolling, known.elsewhere, known.chance)
                return
        elsewhere = sighting.counts.elsewhere
        found.append(Shared(candidate.kind, candidate.value, metrics, events, rolling, elsewhere, chance))

    def _continues(self, known: Shared, events: Rows, metrics: tuple[int, ...]) -> bool:
        start, end = self._events.start, self._events.end
        apart = max(start[events].min() - end[known.events].max(), start[known.events].min() - end[events].max())
        return bool(apart <= 2 * self._near) and not set(metrics).isdisjoint(known.metrics)

    def _with_kin(self, candidate: Candidate, sighting: _Sighting, *, rolling: bool) -> Rows:
        """The events and those of the same scope and metrics that go with them.

        Of devices that are affected: whatever is near in time. Of others: onsets in the window by another metric of the same
        signature, and up to one window before or after it where the scope still stands out.
        """
        events, chosen = self._events, sighting.events
        alike = self._free & (self._exposure.of_event[candidate.kind] == candidate.value)
        alike &= events.signature[:, list(events.leading(chosen))].any(axis=1)
        affected = np.isin(events.device, events.device[chosen])
        if rolling:
            return np.union1d(chosen, np.flatnonzero(alike & affected))
        start, end = sighting.span[0], int(events.end[chosen].max())
        kin = alike & affected & (events.start <= end + self._near) & (events.end >= start - self._near)
        for flank in (start - self._near, start, start + self._near):
            kin |= self._flank(candidate, alike, (flank, flank + self._near))
        return np.union1d(chosen, np.flatnonzero(kin))

    def _flank(self, candidate: Candidate, alike: Flags, span: Span) -> Flags:
        """Onsets of like events in a span, none where the scope does not stand out in it."""
        within = self._free & (self._events.start >= span[0]) & (self._events.start <= span[1])
        everywhere = np.flatnonzero(within & self._events.signature[:, candidate.metric])
        inside = alike & within
        counts = self._exposure.counts(candidate.kind, candidate.value, np.flatnonzero(inside), everywhere, span)
        return inside if counts.lift >= MIN_LIFT else np.zeros_like(inside)

    def _fleet_wide(self) -> list[Shared]:
        """Windows in which at least half of the devices present start with the same metric."""
        found: list[Shared] = []
        for rows in self._by_metric:
            while (burst := self._burst(rows)) is not None:
                alike = self._free & self._events.signature[:, list(self._events.leading(burst))].any(axis=1)
                onset = self._events.start
                alike &= (onset >= onset[burst[0]]) & (onset <= onset[burst[0]] + self._near)
                events = np.union1d(burst, np.flatnonzero(alike))
                self._free[events] = False
                found.append(Shared(-1, -1, self._events.leading(events), events, rolling=False, elsewhere=0.0, chance=0.0))
        return found

    def _burst(self, rows: Rows) -> Rows | None:
        rows = rows[self._free[rows]]
        if len(rows) < MIN_DEVICES:
            return None
        onsets = self._events.start[rows]
        until = np.searchsorted(onsets, onsets + self._near, "right")
        best = int((until - np.arange(len(rows))).argmax())
        burst = rows[best : until[best]]
        present = self._exposure.present((int(onsets[best]), int(onsets[best]) + self._near))
        return burst if devices_of(self._events.device[burst]) >= max(MIN_DEVICES, FLEET_SHARE * present) else None


def _scope(shared: Shared) -> tuple[int, int]:
    return shared.kind, shared.value


def _by_value(value: npt.NDArray[np.int32], rows: Rows, values: int) -> list[Rows]:
    """Rows split by value, each part in the order given; rows without a value (-1) are in no part."""
    order = np.argsort(value, kind="stable")
    bounds = np.searchsorted(value[order], np.arange(values + 1))
    return [rows[order[bounds[i] : bounds[i + 1]]] for i in range(values)]
