"""How many calls a principal may make: a bucket that fills steadily and holds a quarter of a minute's worth."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from server.errors import Unavailable
from server.tools.caller import Caller

_REMEMBERED = 10_000
_BURST_SHARE = 0.25


class RateLimit:
    """One bucket a bearer of tokens. The local user, whose own machine it is, is not limited."""

    def __init__(self, calls_per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._rate, self._most, self._clock = calls_per_minute / 60, max(calls_per_minute * _BURST_SHARE, 1.0), clock
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, caller: Caller) -> None:
        """Count one call. Raises `Unavailable` saying how long to wait if there were too many."""
        if caller.is_local:
            return
        key, now = (caller.principal.tenant, caller.principal.name), self._clock()
        left, seen = self._buckets.pop(key, (self._most, now))
        left = min(self._most, left + (now - seen) * self._rate)
        self._buckets[key] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if left < 1:
            raise Unavailable(f"too many calls from {caller.principal.name}. Wait {(1 - left) / self._rate:.1f} seconds.")
