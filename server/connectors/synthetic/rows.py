"""Record batches of whole devices, in the order in which their rows were sent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.connectors.synthetic.behaviour import bend, latent, values
from server.connectors.synthetic.catalogue import DOWNLOAD, METRIC_NAMES, NEW_COLUMN, UPLOAD
from server.connectors.synthetic.draws import Stream, stream
from server.connectors.synthetic.episodes import Episode
from server.connectors.synthetic.faults import HOUR, DeviceRows, Steps
from server.connectors.synthetic.fleet import SyntheticFleet
from server.connectors.synthetic.incidents import INCIDENTS
from server.connectors.synthetic.marks import strike
from server.connectors.synthetic.plan import FleetPlan
from server.connectors.synthetic.roster import Device

_MOMENT = pa.timestamp("us", tz="UTC")
_MINUTE = HOUR // 60


def schema_of(plan: FleetPlan) -> pa.Schema:
    """Columns of every batch of the plan; the unannounced one is there only where its fault is on."""
    extra = [(NEW_COLUMN, pa.float64())] if "unknown_new_column" in plan.faults else []
    texts = ("ManufacturerId", "ModelId", "OsVersionId", "StoreId", "CustomerId")
    return pa.schema(
        [
            ("DeviceId", pa.string()),
            ("Timestamp", _MOMENT),
            ("ArrivalTime", _MOMENT),
            *((name, pa.string()) for name in texts),
            *((name, pa.float64()) for name in METRIC_NAMES),
            *extra,
        ]
    )


@dataclass(frozen=True, slots=True)
class _Sent:
    """Rows by position in the (devices x steps) grid, in the order sent; `conflicting` marks copies that say otherwise."""

    device: npt.NDArray[np.int64]
    step: Steps
    conflicting: npt.NDArray[np.bool_]


def batch_of(fleet: SyntheticFleet, devices: Sequence[Device]) -> pa.RecordBatch:
    """All rows of these devices."""
    plan, calendar = fleet.plan, fleet.calendar
    made = latent(calendar, devices)
    episodes = [fleet.episodes(device) for device in devices]
    for row, device in enumerate(devices):
        bend(made, row, episodes[row], calendar.store(device.store).activity, plan.step_hours)
    metrics = values(made, plan.step_hours)
    grid = [_blank_rows(plan, device, metrics[:, row], episodes[row]) for row, device in enumerate(devices)]
    marks = [fleet.marks(device) for device in devices]
    for device, rows, marked in zip(devices, grid, marks, strict=True):
        strike(plan, device, rows, marked)
    sent = _in_order([marked.present for marked in marks], grid)
    return _assemble(plan, devices, metrics, grid, sent)


def _blank_rows(plan: FleetPlan, device: Device, metrics: np.ndarray, episodes: Sequence[Episode]) -> DeviceRows:
    """The device's rows before any fault: on time, in order, with a few minutes' delay of sending."""
    start = int(plan.start.timestamp()) * 1_000_000
    steps = np.arange(plan.steps, dtype=np.int64)
    time = start + steps * round(plan.step_hours * HOUR)
    delay = stream(plan.seed, Stream.NOISE, device.index, 1).integers(_MINUTE, 9 * _MINUTE, size=plan.steps)
    arrival = time + delay
    for episode in episodes:
        if episode.type in INCIDENTS and INCIDENTS[episode.type].withholds_rows:
            flood = time[episode.last - 1] + round(plan.step_hours * HOUR)
            span = slice(episode.first, episode.last)
            arrival[span] = flood + delay[span]
    updated = np.zeros(plan.steps, dtype=np.int8)
    if device.update is not None:
        updated[device.update :] = 1
    return DeviceRows(metrics, time, arrival, updated, steps.astype(np.float64), np.full(plan.steps, np.nan, dtype=np.float32))


def _in_order(present: Sequence[Steps], grid: Sequence[DeviceRows]) -> _Sent:
    device: list[np.ndarray] = []
    step: list[np.ndarray] = []
    conflicting: list[np.ndarray] = []
    for row, (steps, rows) in enumerate(zip(present, grid, strict=True)):
        parts = [(steps, False), *rows.copies]
        mine = np.concatenate([copied for copied, _ in parts])
        differs = np.concatenate([np.full(len(copied), differing) for copied, differing in parts])
        # Stable: a copy follows its original.
        order = np.argsort(rows.order[mine], kind="stable")
        device.append(np.full(len(mine), row, dtype=np.int64))
        step.append(mine[order])
        conflicting.append(differs[order])
    return _Sent(np.concatenate(device), np.concatenate(step), np.concatenate(conflicting))


def _assemble(
    plan: FleetPlan, devices: Sequence[Device], metrics: np.ndarray, grid: Sequence[DeviceRows], sent: _Sent
) -> pa.RecordBatch:
    at = sent.device * plan.steps + sent.step
    columns: dict[str, pa.Array] = {
        "DeviceId": _named([device.id for device in devices], sent.device),
        "Timestamp": _moments([rows.time for rows in grid], at),
        "ArrivalTime": _moments([rows.arrival for rows in grid], at),
        "ManufacturerId": _named([device.model.manufacturer for device in devices], sent.device),
        "ModelId": _named([device.model.name for device in devices], sent.device),
        "OsVersionId": _versions(devices, np.concatenate([rows.os for rows in grid])[at], sent.device),
        "StoreId": _named([device.store_id for device in devices], sent.device),
        "CustomerId": _named([device.customer_id for device in devices], sent.device),
    }
    for place, name in enumerate(METRIC_NAMES):
        taken = metrics[place].reshape(-1)[at].astype(np.float64)
        if name in (DOWNLOAD, UPLOAD):
            # Half as much again, and one more: never equal to what the original said.
            taken[sent.conflicting] = np.rint(np.abs(taken[sent.conflicting]) * 1.5) + 1
        columns[name] = pa.array(np.rint(taken * 10) / 10)
    schema = schema_of(plan)
    if NEW_COLUMN in schema.names:
        seen = np.concatenate([rows.new_column for rows in grid])[at].astype(np.float64)
        columns[NEW_COLUMN] = pa.array(seen, mask=np.isnan(seen))
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _named(names: Sequence[str], device: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(device))


def _moments(times: Sequence[Steps], at: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate(times)[at], pa.int64()).cast(_MOMENT)


def _versions(devices: Sequence[Device], updated: np.ndarray, device: npt.NDArray[np.int64]) -> pa.Array:
    names = [version for one in devices for version in (one.before, one.after)]
    places = 2 * device + np.maximum(updated, 0)
    return pa.array(names, pa.string()).take(pa.array(places, mask=updated < 0))
