"""What each device's next features rest on: its recent times, values and means, as far back as a feature can reach."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.domain.telemetry import Members, Metric, Transform
from server.kernels.live import FULL, Readings, Rings, Rules, take_readings
from server.pipeline.features import FeaturePlan, device_bounds

Ints = npt.NDArray[np.int64]

_MICROSECOND = timedelta(microseconds=1)
_SMALLEST = 32
_NO_COHORT = -1
_COHORT = 3
"""Place of a device's cohort in its cursor."""


@dataclass(slots=True)
class DeviceWindows:
    """The windows of every device that has been seen, by device code; grows where a device reports more often than before."""

    plan: FeaturePlan
    devices: dict[str, int]
    place: npt.NDArray[np.int32]
    """Store (or customer, where there are no stores) of each device, -1 for none."""
    rings: Rings
    rules: Rules

    @classmethod
    def empty(cls, plan: FeaturePlan, members: Members) -> Self:
        """Windows of the members, with no row yet and in no cohort."""
        count, metrics = len(members.devices), len(plan.metrics)
        cursor = np.zeros((count, 4), np.int64)
        cursor[:, 2:] = -1
        rings = (np.zeros((count, _SMALLEST), np.int64), np.full((2, count, _SMALLEST, metrics), np.nan), cursor)
        windows = (plan.window // _MICROSECOND, plan.lag // _MICROSECOND, plan.min_count)
        codes = {name: code for code, name in enumerate(members.devices)}
        return cls(plan, codes, np.full(count, -1, np.int32), rings, (windows, _limits(plan.metrics)))

    @classmethod
    def from_blocks(cls, blocks: Iterable[pa.RecordBatch], plan: FeaturePlan, members: Members) -> Self:
        """Windows as they are after those rows: blocks of whole devices, as `TelemetryStore.blocks` gives them.

        Only each device's last `plan.lookback` is taken in, so a snapshot of that much is enough.
        """
        found = cls.empty(plan, members)
        for block in blocks:
            found._take_last(block, "store" if members.stores else "customer")
        return found

    @property
    def cohort(self) -> Ints:
        """Cohort of each device, -1 for none."""
        return self.rings[2][:, _COHORT]

    def admit(self, device: str, cohort: int = _NO_COHORT, place: int = -1) -> int:
        """The code of a device that was not among the members; its windows are empty."""
        times, history, cursor = self.rings
        self.devices[device] = code = len(times)
        none = np.array([[0, 0, -1, cohort]], np.int64)
        shape = (2, 1, *history.shape[2:])
        self.rings = (
            np.concatenate([times, np.zeros((1, times.shape[1]), np.int64)]),
            np.concatenate([history, np.full(shape, np.nan)], axis=1),
            np.concatenate([cursor, none]),
        )
        self.place = np.append(self.place, np.int32(place))
        return code

    def enlarge(self) -> None:
        """Twice the room for every device."""
        times, history, cursor = self.rings
        capacity = times.shape[1]
        grown = np.zeros((len(times), 2 * capacity), np.int64)
        wide = np.full((2, len(times), 2 * capacity, history.shape[3]), np.nan)
        for back in range(1, capacity + 1):
            row = cursor[:, 0] - back
            kept = np.flatnonzero(row >= 0)
            old, new = row[kept] % capacity, row[kept] % (2 * capacity)
            grown[kept, new] = times[kept, old]
            wide[:, kept, new] = history[:, kept, old]
        self.rings = (grown, wide, cursor)

    def take(self, readings: Readings, features: npt.NDArray[np.float64], begin: int = 0) -> None:
        """Take readings in from `begin` on, and fill their features and outcomes; see `take_readings`."""
        while begin < len(features):
            begin = take_readings(readings, begin, self.rings, self.rules, features)
            if begin < len(features) and readings[3][begin] == FULL:
                self.enlarge()

    def _take_last(self, block: pa.RecordBatch, place: str) -> None:
        bounds = device_bounds(block)
        if block.num_rows == 0:
            return
        time = block.column("time").to_numpy()
        last = bounds[1:] - 1
        horizon = np.repeat(time[last] - self.plan.lookback // _MICROSECOND, np.diff(bounds))
        rows = np.flatnonzero(time > horizon)
        measured = [block.column(metric.name).to_numpy(zero_copy_only=False)[rows] for metric in self.plan.metrics]
        device = block.column("device").to_numpy().astype(np.int64)
        readings = (device[rows], time[rows], np.stack(measured, axis=1), np.zeros(len(rows), np.int64))
        self.take(readings, np.empty((len(rows), 3 * len(measured))))
        self.cohort[device[last]] = block.column("cohort").to_numpy()[last]
        self.place[device[last]] = block.column(place).to_numpy()[last]


def _limits(metrics: tuple[Metric, ...]) -> npt.NDArray[np.float64]:
    """`Rules`' second part."""
    most = max(len(metric.sentinels) for metric in metrics)
    limits = np.full((len(metrics), 3 + most), np.nan)
    for row, metric in zip(limits, metrics, strict=True):
        row[0] = metric.transform is Transform.LOG1P
        row[1:3] = metric.bounds
        row[3 : 3 + len(metric.sentinels)] = metric.sentinels
    return limits
