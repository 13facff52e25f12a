"""Which devices have a change, since when: the change log's scopes against where each device was at each row."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.domain.telemetry import Change
from server.services.reading.shelf import Flags, Shown
from server.storage.moments import microseconds

Times = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max
_ROLES = {
    "deviceid": "device", "device": "device",
    "storeid": "store", "store": "store", "site": "store",
    "customerid": "customer", "customer": "customer",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rollout:
    """One change, or one that the log has a row of for each device: `changes` oldest first, `scope` without the devices."""

    id: str
    changes: tuple[Change, ...]
    scope: dict[str, str]
    by_device: bool

    @property
    def first(self) -> Change:
        """Its first row in the log."""
        return self.changes[0]


def rollouts(changes: Sequence[Change]) -> list[Rollout]:
    """Change-log rows gathered: rows that differ only in device and time are one rollout."""
    gathered: defaultdict[tuple[object, ...], list[Change]] = defaultdict(list)
    for change in changes:
        scope = {name: value for name, value in change.scope.items() if _ROLES.get(name.casefold()) != "device"}
        named = len(scope) < len(change.scope)
        words = "" if named else change.description
        key = (change.kind, tuple(sorted(scope.items())), named, words, "" if named else change.before, change.after)
        gathered[(*key, None if named else change.time)].append(change)
    return [
        Rollout(_id(key), tuple(rows), dict(key[1]), by_device=bool(key[2]))  # pyright: ignore[reportArgumentType, reportCallIssue]
        for key, rows in gathered.items()
    ]


def in_scope(shown: Shown, scope: Mapping[str, str]) -> Flags | None:
    """Which rows are of the scope; None if it names a column that the telemetry does not have."""
    inside = np.ones(len(shown.time), bool)
    columns = {name.casefold(): place for place, name in enumerate(shown.snapshot.cohort_columns)}
    for name, value in scope.items():
        role = _ROLES.get(name.casefold())
        if name.casefold() in columns:
            place = columns[name.casefold()]
            match = np.array([*(cohort[place] == value for cohort in shown.members.cohorts), False])
            inside &= match[shown.cohort]
        elif role is not None:
            names = {"device": shown.members.devices, "store": shown.members.stores, "customer": shown.members.customers}[role]
            codes = {"device": shown.device, "store": shown.store, "customer": shown.customer}[role]
            inside &= codes == (names.index(value) if value in names else -2)
        else:
            return None
    return inside


def concerns(scope: Mapping[str, str], own: Mapping[str, str]) -> bool:
    """Whether a scope holds for a device with those values of device, store, customer and cohort columns (in lower case)."""
    return all(own.get(_ROLES.get(name.casefold(), name.casefold())) == value for name, value in scope.items())


def exposed_since(shown: Shown, rollout: Rollout) -> Times | None:
    """When each device came to have the change, `NEVER` if it did not; None if its scope cannot be told from telemetry."""
    since = np.full(len(shown.members.devices), NEVER, np.int64)
    if rollout.by_device:
        for change in rollout.changes:
            name = next(value for key, value in change.scope.items() if _ROLES.get(key.casefold()) == "device")
            if name in shown.code:
                since[shown.code[name]] = min(since[shown.code[name]], microseconds(change.time))
        return since
    inside = in_scope(shown, rollout.scope)
    return None if inside is None else first_time(shown, inside & (shown.time >= microseconds(rollout.first.time)))


def first_time(shown: Shown, rows: Flags) -> Times:
    """Time of each device's first row among those, `NEVER` without one."""
    found = np.full(len(shown.members.devices), NEVER, np.int64)
    np.minimum.at(found, shown.device[rows], shown.time[rows])
    return found


def _id(key: tuple[object, ...]) -> str:
    return f"c-{hashlib.blake2b(repr(key).encode(), digest_size=6).hexdigest()}"
