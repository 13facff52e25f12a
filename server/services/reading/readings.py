"""Measured values of some devices over some time, with names in place of codes: only what is asked for is read."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from server.domain.telemetry import Metric, Snapshot
from server.storage.base import TelemetryStore

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

_BLOCK_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read of a snapshot."""

    snapshot: Snapshot
    metrics: tuple[Metric, ...]
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeviceValues:
    """One device's rows of one cohort, in order of time; `values` has shape (metrics, rows), NaN where missing."""

    device: str
    time: Times
    values: Floats


def values_of(store: TelemetryStore, wanted: Wanted, devices: Collection[str], cohort: str) -> Iterator[DeviceValues]:
    """The rows of those devices while they were of that cohort (empty: while of none)."""
    narrowed = wanted.snapshot.model_copy(update={"metrics": wanted.metrics, "start": wanted.since, "end": wanted.until})
    members = store.members(narrowed)
    cohorts = [" / ".join(each) for each in members.cohorts]
    code = cohorts.index(cohort) if cohort in cohorts else -1
    codes = [number for number, name in enumerate(members.devices) if name in devices]
    if not codes:
        return
    for block in store.blocks(narrowed, rows=_BLOCK_ROWS, devices=codes):
        device, time = block.column("device").to_numpy(), block.column("time").to_numpy()
        inside = block.column("cohort").to_numpy() == code
        values = np.stack([block.column(metric.name).to_numpy(zero_copy_only=False) for metric in wanted.metrics])
        bounds = np.concatenate([[0], np.flatnonzero(np.diff(device)) + 1, [len(device)]])
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            own = np.arange(start, end)[inside[start:end]]
            if len(own):
                yield DeviceValues(members.devices[device[start]], time[own], values[:, own])


def medians(values: Sequence[Floats]) -> Floats:
    """Median of each metric's finite values for each array of shape (metrics, rows); shape (arrays, metrics), NaN for none."""
    found = np.full((len(values), len(values[0]) if values else 0), np.nan)
    for number, rows in enumerate(values):
        for metric, row in enumerate(rows):
            known = row[np.isfinite(row)]
            if len(known):
                found[number, metric] = np.median(known)
    return found
