"""Which rows each device has, and which of them each fault strikes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from server.connectors.synthetic.draws import Stream, stream
from server.connectors.synthetic.faults import FAULTS, DeviceRows, Site, Steps, When
from server.connectors.synthetic.plan import FleetPlan
from server.connectors.synthetic.roster import SUCCESSOR, Device

UNIT_CHANGE_MODEL, NEW_COLUMN_MODEL = "TC52", "XCover6"
"""The models whose latest firmware counts downloads in bytes, and whose latest sends a column that nobody announced."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The steps of a device that have a row, and those struck by each kind of fault (for absences: the rows lost)."""

    present: Steps
    struck: Mapping[str, Steps]


def marks_of(plan: FleetPlan, device: Device, leaves: int) -> Marks:
    """The marks of a device whose last row is before step `leaves`. Values are neither needed nor made."""
    site = Site(
        present=np.arange(device.first, leaves, dtype=np.int64),
        steps_an_hour=1 / plan.step_hours,
        steps=plan.steps,
        unit_changed_from=device.update if device.model.name == UNIT_CHANGE_MODEL else None,
        new_column_from=device.update if device.model.name == NEW_COLUMN_MODEL else None,
        id_reused=device.role == SUCCESSOR,
    )
    struck: dict[str, Steps] = {}
    chances = stream(plan.seed, Stream.FAULTS, device.index).random(64)
    for number, (name, fault) in enumerate(FAULTS.items()):
        if chances[number] >= plan.faults.get(name, 0.0):
            continue
        steps = fault.pick(site, _rng(plan, device, number))
        if len(steps):
            struck[name] = steps
        if fault.when is When.ABSENCE:
            site = replace(site, present=np.setdiff1d(site.present, steps, assume_unique=True))
    return Marks(site.present, struck)


def strike(plan: FleetPlan, device: Device, rows: DeviceRows, marks: Marks) -> None:
    """Do to the device's rows what its faults do, in place."""
    for number, (name, fault) in enumerate(FAULTS.items()):
        if fault.when is not When.ABSENCE and name in marks.struck:
            fault.edit(rows, marks.struck[name], _rng(plan, device, 100 + number))


def _rng(plan: FleetPlan, device: Device, use: int) -> np.random.Generator:
    return stream(plan.seed, Stream.FAULTS, device.index, use)
