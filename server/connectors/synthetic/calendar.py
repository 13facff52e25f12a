"""Local time and how busy a store is: the seasonality of a fleet."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from server.connectors.synthetic.catalogue import ZONES
from server.connectors.synthetic.draws import Stream, slot_of, stream
from server.connectors.synthetic.episodes import FloatArray, Scope
from server.connectors.synthetic.incidents import INCIDENTS
from server.connectors.synthetic.look_alikes import LOOK_ALIKES
from server.connectors.synthetic.plan import FleetPlan

SCHEDULED_SCAN = "inventory_scan"
STORE_ROLES: tuple[str, ...] = (
    *(name for name, kind in INCIDENTS.items() if kind.scope is Scope.STORE),
    *(name for name, kind in LOOK_ALIKES.items() if kind.scope is Scope.STORE and name != SCHEDULED_SCAN),
)
"""What the stores of a block are drawn for, one store a role; the others have nothing but their scans."""
STORE_BLOCK = 10

_DAY_SHIFT = np.array([0] * 7 + [0.2, 0.6, 0.9, 1, 0.9, 0.6, 0.8, 1, 0.9, 0.8, 0.5, 0.2] + [0] * 5, dtype=np.float32)
_TWO_SHIFTS = np.array(
    [0] * 5 + [0.3, 0.7, 0.9, 1, 1, 0.9, 0.8, 0.7, 0.9, 1, 0.9, 0.8, 0.8, 0.7, 0.6, 0.5, 0.3] + [0] * 2, dtype=np.float32
)
_NIGHT_SHIFT = np.array([0.6] * 6 + [0.2] + [0] * 14 + [0.3, 0.6, 0.6], dtype=np.float32)
_WEEK = np.array([1, 0.95, 0.95, 1, 1.1, 0.7, 0.15], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Store:
    """A store: its time zone (index into `ZONES`), what it was drawn for, and how busy it is at each step (0 to about 1.1).

    `turning_point` is the step of its lasting change (a night shift, a refresh); `traits` are standard normal.
    """

    index: int
    zone: int
    role: str
    turning_point: int
    activity: FloatArray
    traits: FloatArray


class Calendar:
    """Time as a fleet's stores live it. Arrays have one entry a step of the plan."""

    def __init__(self, plan: FleetPlan) -> None:
        self.plan = plan
        zones = [ZoneInfo(zone) for zone in ZONES]
        self._local = [self._hours_of_week(zone) for zone in zones]
        self._clock_changes = [self._clock_change(zone) for zone in zones]
        # Bounded, for fleets of any size; devices of a store come one after the other.
        self.store = lru_cache(maxsize=64)(self._store)

    def hours_of_week(self, store: int) -> npt.NDArray[np.int64]:
        """Local hour of the week, 0 on Monday from 00:00 to 00:59, up to 167."""
        return self._local[self.store(store).zone]

    def clock_change(self, store: int) -> int | None:
        """The first step after the store's clocks changed within the plan's time; None if they do not."""
        return self._clock_changes[self.store(store).zone]

    def _store(self, index: int) -> Store:
        plan = self.plan
        slot = slot_of(plan.seed, Stream.STORE_SLOTS, index, size=STORE_BLOCK, packed=STORE_BLOCK)
        role = STORE_ROLES[slot] if slot < len(STORE_ROLES) else ""
        rng = stream(plan.seed, Stream.STORE, index)
        zone = int(rng.choice(len(ZONES), p=(0.5, 0.3, 0.2)))
        turning_point = plan.span(24 * max(1, round(float(rng.uniform(0.2, 0.6)) * plan.days)))
        day = _TWO_SHIFTS if rng.random() < 0.4 else _DAY_SHIFT
        hours = self._local[zone]
        activity = np.outer(_WEEK, day).reshape(-1)[hours]
        if role == "night_shift" and role in plan.look_alikes:
            activity[turning_point:] = np.maximum(activity, _NIGHT_SHIFT[hours % 24])[turning_point:]
        return Store(index, zone, role, turning_point, activity, rng.standard_normal(2, dtype=np.float32))

    def _clock_change(self, zone: ZoneInfo) -> int | None:
        offsets = [self.plan.moment(step).astimezone(zone).utcoffset() for step in range(self.plan.steps)]
        return next((step for step in range(1, len(offsets)) if offsets[step] != offsets[step - 1]), None)

    def _hours_of_week(self, zone: ZoneInfo) -> npt.NDArray[np.int64]:
        plan = self.plan
        fixed = plan.start.astimezone(zone).utcoffset() or timedelta(0)
        changes = "daylight_saving" in plan.look_alikes
        moments = [plan.moment(step) for step in range(plan.steps)]
        offsets = [(moment.astimezone(zone).utcoffset() or timedelta(0)) if changes else fixed for moment in moments]
        local = [moment + offset for moment, offset in zip(moments, offsets, strict=True)]
        return np.array([24 * moment.weekday() + moment.hour for moment in local], dtype=np.int64)
