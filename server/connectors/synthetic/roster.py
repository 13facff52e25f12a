"""Who is in the fleet: each device's model, place, time of service and OS update, from its index alone."""

from dataclasses import dataclass

import numpy as np

from server.connectors.synthetic.calendar import Calendar
from server.connectors.synthetic.catalogue import MODELS, NEW_MODEL, OLD_MODEL, DeviceModel, model_named
from server.connectors.synthetic.draws import Stream, slot_of, slots, stream
from server.connectors.synthetic.episodes import Scope
from server.connectors.synthetic.incidents import INCIDENTS

DEVICES_A_STORE, STORES_A_CUSTOMER = 15, 3
BLOCK, PACKED = 120, 45
FIRST_NUMBER = 1000
"""Ids begin at D-1000."""

KIOSK, RETIREE, SUCCESSOR = "docked_kiosks", "retiree", "successor"
DEVICE_ROLES: tuple[str, ...] = (
    RETIREE,
    SUCCESSOR,
    *[KIOSK] * 3,
    *(name for name, kind in INCIDENTS.items() if kind.scope is Scope.DEVICE),
)
"""What the devices of a block are drawn for, one device an entry; the others have nothing of their own."""

_CUMULATIVE = np.cumsum([model.weight for model in MODELS])
_REPLACED, _REPLACEMENTS = range(4), range(4, 8)
"""Positions within a store that a refresh retires and enrols."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device and its service: rows from step `first` to `last` (exclusive), OS `before` until step `update`, then `after`."""

    index: int
    id: str
    model: DeviceModel
    store: int
    customer: int
    role: str
    first: int
    last: int
    before: str
    after: str
    update: int | None

    @property
    def store_id(self) -> str:
        """Such as store-017."""
        return f"store-{self.store:03d}"

    @property
    def customer_id(self) -> str:
        """Such as customer-02."""
        return f"customer-{self.customer:02d}"


class Roster:
    """The devices of a plan, made when asked for."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar, self._plan = calendar, calendar.plan

    def device(self, index: int) -> Device:
        """The device at that index; the same whatever the fleet's size."""
        rng = stream(self._plan.seed, Stream.IDENTITY, index)
        role, store = self._role(index), index // DEVICES_A_STORE
        chance = rng.random(6)
        model = self._model(index, store, float(chance[0]))
        first, last = self._service(index, store, role, chance[1:3])
        before, after, update = self._versions(model, store, chance[3:6])
        return Device(
            index=index,
            id=self._id(index, role),
            model=model,
            store=store,
            customer=store // STORES_A_CUSTOMER,
            role=role,
            first=first,
            last=last,
            before=before,
            after=after,
            update=update if update is not None and first < update < last else None,
        )

    def refreshed(self, store: int) -> bool:
        """Whether old devices of the store are replaced by new ones."""
        return "cohort_mix_refresh" in self._plan.look_alikes and self._calendar.store(store).role == "cohort_mix_refresh"

    def rollout(self, model: DeviceModel, store: int) -> int:
        """The step at which the model's latest OS version is offered to the store: stores take it in three waves."""
        rng = stream(self._plan.seed, Stream.MODEL, MODELS.index(model))
        wave_gap = min(self._plan.span(72), self._plan.steps // 12)
        return int(rng.uniform(0.3, 0.5) * self._plan.steps) + (store % 3) * wave_gap

    def _role(self, index: int) -> str:
        slot = slot_of(self._plan.seed, Stream.DEVICE_SLOTS, index, size=BLOCK, packed=PACKED)
        role = DEVICE_ROLES[slot] if slot < len(DEVICE_ROLES) else ""
        if role in (RETIREE, SUCCESSOR):
            if "reused_device_id" not in self._plan.faults:
                return ""
            # The lower index retires, so that no fleet holds a successor without its predecessor.
            return RETIREE if index == min(self._pair(index // BLOCK)) else SUCCESSOR
        return role

    def _pair(self, block: int) -> tuple[int, int]:
        order = slots(self._plan.seed, Stream.DEVICE_SLOTS, block, BLOCK, PACKED)
        return block * BLOCK + order[0], block * BLOCK + order[1]

    def _id(self, index: int, role: str) -> str:
        named_after = min(self._pair(index // BLOCK)) if role == SUCCESSOR else index
        return f"D-{FIRST_NUMBER + named_after:04d}"

    def _model(self, index: int, store: int, chance: float) -> DeviceModel:
        if self.refreshed(store) and index % DEVICES_A_STORE in _REPLACED:
            return model_named(OLD_MODEL)
        if self.refreshed(store) and index % DEVICES_A_STORE in _REPLACEMENTS:
            return model_named(NEW_MODEL)
        return MODELS[int(np.searchsorted(_CUMULATIVE, chance * _CUMULATIVE[-1], side="right"))]

    def _service(self, index: int, store: int, role: str, chance: np.ndarray) -> tuple[int, int]:
        steps = self._plan.steps
        if role == RETIREE:
            return 0, int(0.4 * steps)
        if role == SUCCESSOR:
            return int(0.5 * steps), steps
        if self.refreshed(store) and index % DEVICES_A_STORE in _REPLACED:
            return 0, self._calendar.store(store).turning_point
        if self.refreshed(store) and index % DEVICES_A_STORE in _REPLACEMENTS:
            return self._calendar.store(store).turning_point, steps
        enrols = chance[0] < 0.06 and not role
        retires = chance[1] < 0.05 and not role
        first = int(steps * (0.05 + 0.5 * chance[0] / 0.06)) if enrols else 0
        last = int(steps * (0.65 + 0.3 * chance[1] / 0.05)) if retires else steps
        return first, last

    def _versions(self, model: DeviceModel, store: int, chance: np.ndarray) -> tuple[str, str, int | None]:
        latest = model.versions[-1]
        if chance[0] < 0.15:
            return latest, latest, None
        oldest, previous = model.versions[0], model.versions[len(model.versions) - 2]
        before = oldest if chance[0] > 0.85 else previous
        if chance[1] > 0.85:
            return before, before, None
        return before, latest, self.rollout(model, store) + self._plan.span(float(chance[2]) * 48)
