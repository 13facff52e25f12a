"""What happens to each device and when: its incidents and look-alikes, found from the device alone."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from server.connectors.synthetic.calendar import SCHEDULED_SCAN, Calendar
from server.connectors.synthetic.catalogue import ZONES
from server.connectors.synthetic.draws import Stream, slot_of, stream
from server.connectors.synthetic.episodes import Episode, Manifest, Scope
from server.connectors.synthetic.incidents import INCIDENTS, IncidentType
from server.connectors.synthetic.look_alikes import LOOK_ALIKES
from server.connectors.synthetic.plan import STRENGTH, Tier
from server.connectors.synthetic.roster import Device, Roster

CUSTOMER_ROLES: tuple[str, ...] = tuple(name for name, kind in INCIDENTS.items() if kind.scope is Scope.CUSTOMER)
CUSTOMER_BLOCK = 4
NEW_APP_MODEL = "S21"
_INCIDENT_KEY = {name: place for place, name in enumerate(INCIDENTS)}
_LOOK_ALIKE_KEY = {name: 1000 + place for place, name in enumerate(LOOK_ALIKES)}
_SLOW_FROM_HOURS = 72
_SILENCING = frozenset(name for name, kind in INCIDENTS.items() if kind.silence_after)
_CORRELATED_FIRST = ("battery_drain_after_update", "app_crash_loop", "data_spike", "wifi_roam_storm", "reboot_loop")
"""Kinds whose first metric moves with others, so that it can stop doing so."""


class Schedule:
    """The episodes of a plan's devices."""

    def __init__(self, calendar: Calendar, roster: Roster) -> None:
        self._calendar, self._roster, self._plan = calendar, roster, calendar.plan

    def incidents(self, device: Device) -> tuple[Episode, ...]:
        """The incidents that strike this device while it is in service, in the registry's order."""
        wanted = [name for name in INCIDENTS if name in self._plan.incidents and self._plan.tiers]
        found = [episode for name in wanted if (episode := self._incident(name, device)) is not None]
        silent_from = min([device.last, *(episode.last for episode in found if episode.type in _SILENCING)])
        return tuple(clipped for episode in found if (clipped := _within(episode, device.first, silent_from)) is not None)

    def look_alikes(self, device: Device) -> tuple[Episode, ...]:
        """The benign episodes of this device while it is in service, in the registry's order."""
        found = (episode for name in LOOK_ALIKES if name in self._plan.look_alikes for episode in self._benign(name, device))
        return tuple(clipped for episode in found if (clipped := _within(episode, device.first, device.last)) is not None)

    def leaves(self, device: Device) -> int:
        """The step after its last row: its retirement, or earlier where it is lost."""
        if device.role not in _SILENCING:
            return device.last
        return min([device.last, *(episode.last for episode in self.incidents(device) if episode.type in _SILENCING)])

    def _incident(self, name: str, device: Device) -> Episode | None:
        kind = INCIDENTS[name]
        member = self._struck_as(name, kind, device)
        if member is None:
            return None
        shared, own = self._rng(name, member), self._rng(name, 10_000_000 + device.index)
        tier = self._plan.tiers[int(shared.integers(len(self._plan.tiers)))]
        first, last = self._window(kind.hours, shared, to_the_end=kind.to_the_end)
        if kind.scope is Scope.UPDATE:
            first, last = device.update or 0, (device.update or 0) + last - first
        manifest = _manifest(name, tier, self._plan.step_hours * (last - first), shared)
        if own.random() > kind.share:
            return None
        strength = STRENGTH[tier] * float(own.uniform(0.9, 1.2))
        scope = _scope_of(kind.scope, device)
        episode = Episode(f"{name}/{scope.split('=')[-1]}", name, scope, first, last, strength, tier.value, manifest, first)
        return _within(episode, device.first, device.last)

    def _struck_as(self, name: str, kind: IncidentType, device: Device) -> int | None:
        """The number of the device, store, customer or model through which the incident could reach this device."""
        if kind.scope is Scope.DEVICE:
            return device.index if device.role == name else None
        if kind.scope is Scope.STORE:
            return device.store if self._calendar.store(device.store).role == name else None
        if kind.scope is Scope.CUSTOMER:
            return device.customer if self._customer_role(device.customer) == name else None
        return 0 if device.update is not None and device.model.name == kind.model else None

    def _customer_role(self, customer: int) -> str:
        slot = slot_of(self._plan.seed, Stream.CUSTOMER_SLOTS, customer, size=CUSTOMER_BLOCK, packed=2)
        return CUSTOMER_ROLES[slot] if slot < len(CUSTOMER_ROLES) else ""

    def _window(self, hours: tuple[int, int], rng: np.random.Generator, *, to_the_end: bool = False) -> tuple[int, int]:
        steps = self._plan.steps
        length = max(1, min(self._plan.span(float(rng.uniform(*hours))), steps // 2))
        first = steps - length if to_the_end else int(rng.integers(steps // 10, steps - length + 1))
        return first, first + length

    def _rng(self, name: str, member: int) -> np.random.Generator:
        key = _INCIDENT_KEY[name] if name in _INCIDENT_KEY else _LOOK_ALIKE_KEY[name]
        return stream(self._plan.seed, Stream.EPISODE, key, member)

    def _benign(self, name: str, device: Device) -> Iterator[Episode]:
        spans = list(self._benign_spans(name, device))
        if not spans:
            return
        scope = _benign_scope(name, device, self._calendar)
        for number, (first, last) in enumerate(spans):
            suffix = f"/{number + 1}" if len(spans) > 1 else ""
            yield Episode(f"{name}/{scope.split('=')[-1]}{suffix}", name, scope, first, last, began=first)

    def _benign_spans(self, name: str, device: Device) -> Iterator[tuple[int, int]]:
        plan, calendar, steps = self._plan, self._calendar, self._plan.steps
        if name == "docked_kiosks" and device.role == name:
            yield 0, steps
        elif name == "new_app_drain" and device.model.name == NEW_APP_MODEL:
            yield self.new_app_from(), steps
        elif name == "patch_day":
            yield self.patch_night()
        elif name == SCHEDULED_SCAN and device.store % 3 == 0:
            yield from self._scans(device.store)
        elif name == "daylight_saving" and (change := calendar.clock_change(device.store)) is not None:
            yield change, min(steps, change + plan.span(168))
        elif name == "new_device_first_days" and device.first > 0:
            yield device.first, device.first + plan.span(72)
        elif calendar.store(device.store).role == name:
            yield self._store_span(name, device.store)

    def new_app_from(self) -> int:
        """The step at which the new app is installed on its model."""
        return int(self._rng("new_app_drain", 0).uniform(0.35, 0.55) * self._plan.steps)

    def patch_night(self) -> tuple[int, int]:
        """First and last step (exclusive) of the patch: the night after the second Tuesday, if there are two."""
        tuesdays = [day for day in range(self._plan.days) if self._plan.moment(self._plan.span(24 * day)).weekday() == 1]
        day = tuesdays[min(1, len(tuesdays) - 1)] if tuesdays else 0
        return self._plan.span(24 * day + 22), self._plan.span(24 * day + 26)

    def _scans(self, store: int) -> Iterator[tuple[int, int]]:
        hours = self._calendar.hours_of_week(store)
        begins = np.flatnonzero((hours == 6 * 24 + 2) & (np.roll(hours, 1) != 6 * 24 + 2))
        for step in begins:
            yield int(step), int(step) + self._plan.span(2)

    def _store_span(self, name: str, store: int) -> tuple[int, int]:
        if name == "cold_store":
            return 0, self._plan.steps
        if name == "stock_take":
            return self._window((36, 60), self._rng(name, store))
        return self._calendar.store(store).turning_point, self._plan.steps


def _manifest(name: str, tier: Tier, hours: float, rng: np.random.Generator) -> Manifest:
    chance = rng.random()
    if tier is not Tier.HARD:
        return Manifest.STEP
    if chance < 0.35 and name in _CORRELATED_FIRST:
        return Manifest.MULTIVARIATE
    return Manifest.SLOW if chance < 0.65 and hours >= _SLOW_FROM_HOURS else Manifest.STEP


def _scope_of(scope: Scope, device: Device) -> str:
    if scope is Scope.DEVICE:
        return f"DeviceId={device.id}"
    if scope is Scope.STORE:
        return f"StoreId={device.store_id}"
    return f"CustomerId={device.customer_id}" if scope is Scope.CUSTOMER else f"ModelId={device.model.name}"


def _benign_scope(name: str, device: Device, calendar: Calendar) -> str:
    scope = LOOK_ALIKES[name].scope
    if scope is Scope.ZONE:
        return f"zone={ZONES[calendar.store(device.store).zone].replace('/', '-')}"
    return "fleet=all" if scope is Scope.FLEET else _scope_of(scope, device)


def _within(episode: Episode, first: int, last: int) -> Episode | None:
    first, last = max(episode.first, first), min(episode.last, last)
    if first >= last:
        return None
    return replace(episode, first=first, last=last)
