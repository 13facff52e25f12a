"""Affected and exposed devices of a scope in a span of time: the four numbers that a scope is judged by."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.pipeline.events import Events
from server.pipeline.presence import Presence
from server.pipeline.scopes import ScopeKind, separation

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

Span = tuple[int, int]
"""First and last moment, both inclusive, in microseconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Devices affected and exposed inside a scope, and the same outside it. A device that moved can be on both sides."""

    inside: int
    exposed: int
    outside: int
    unexposed: int

    @property
    def share(self) -> float:
        """Share of the scope's devices that are affected."""
        return self.inside / max(self.exposed, 1)

    @property
    def elsewhere(self) -> float:
        """Share of the other devices that are affected."""
        return self.outside / max(self.unexposed, 1)

    @property
    def lift(self) -> float:
        """Affected share inside over that outside, where at least half a device is taken to be affected."""
        return self.share * self.unexposed / max(self.outside, 0.5)

    @property
    def separation(self) -> float:
        """The G statistic of the four numbers."""
        numbers = (np.array([float(n)]) for n in (self.inside, self.exposed, self.outside, self.unexposed))
        return float(separation(*numbers)[0])

    @property
    def chance(self) -> float:
        """Probability that as many affected devices or more are inside by chance: Fisher's exact test, one-sided.

        The upper tail of the hypergeometric law, as `scipy.stats.hypergeom.sf(inside - 1, ...)` gives it within 1e-9; importing
        that takes longer than finding a fleet's incidents.
        """
        from scipy.special import betaln  # noqa: PLC0415 - a server that only reads should not wait for it

        def log_choose(n: int, k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            return -np.log(n + 1.0) - betaln(n - k + 1.0, k + 1.0)

        affected, every = self.inside + self.outside, self.exposed + self.unexposed
        inside = np.arange(max(self.inside, affected - self.unexposed), min(self.exposed, affected) + 1)
        chosen = log_choose(self.exposed, inside) + log_choose(self.unexposed, affected - inside)
        return float(min(np.exp(chosen - log_choose(every, np.array([affected]))).sum(), 1.0))


class Exposure:
    """Answers who was exposed and affected, for one set of events over one presence."""

    def __init__(self, events: Events, presence: Presence, kinds: tuple[ScopeKind, ...]) -> None:
        self._events, self._presence = events, presence
        self.of_event = [kind.value_of[events.key(kind.key)] for kind in kinds]
        self._of_stay = [kind.value_of[presence.key(kind.key)] for kind in kinds]

    def counts(self, kind: int, value: int, inside: Rows, everywhere: Rows, span: Span) -> Counts:
        """The numbers for affected events `inside` a scope and `everywhere` (which includes them), in a span."""
        others = everywhere[self.of_event[kind][everywhere] != value]
        exposed, unexposed = self.exposed(kind, value, span)
        return Counts(devices_of(self._events.device[inside]), exposed, devices_of(self._events.device[others]), unexposed)

    def exposed(self, kind: int, value: int, span: Span) -> tuple[int, int]:
        """Devices with rows in the scope during the span, and devices with rows outside it."""
        there = self._there(span)
        own = self._of_stay[kind][there] == value
        device = self._presence.device[there]
        return distinct_sorted(device[own]), distinct_sorted(device[~own])

    def present(self, span: Span) -> int:
        """Devices with rows during the span."""
        return distinct_sorted(self._presence.device[self._there(span)])

    def _there(self, span: Span) -> npt.NDArray[np.bool_]:
        return (self._presence.first <= span[1]) & (self._presence.last >= span[0])


def devices_of(device: Codes) -> int:
    """Number of distinct devices."""
    return len(set(device.tolist())) if len(device) < 100 else int(np.count_nonzero(np.bincount(device)))


def distinct_sorted(device: Codes) -> int:
    """Number of distinct devices among sorted codes."""
    return int(np.count_nonzero(np.diff(device))) + 1 if len(device) else 0
