"""Plain telemetry of any size, for measuring: hourly rows with jitter, gaps, missing values, rhythms, counts and faults."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_HOUR = 3_600_000_000
_START = 1_735_689_600_000_000
_JITTER = 180_000_000
_MISSING, _GAP, _GAP_HOURS, _FAULTY = 0.02, 0.0005, 12, 0.01
_DEVICES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class FleetSize:
    """How much telemetry: about `rows` rows in all, shared evenly by the devices."""

    rows: int
    devices: int
    metrics: int = 8

    @property
    def hours(self) -> int:
        """Hours of each device's telemetry, gaps included."""
        return max(1, round(self.rows / self.devices))


def metric_names(count: int) -> tuple[str, ...]:
    """Names that no catalogue knows: what is measured must not depend on what is known of a metric."""
    return tuple(f"Reading{number:02d}" for number in range(count))


def write_fleet(path: Path, size: FleetSize, *, seed: int = 7) -> int:
    """Write telemetry as Parquet, sorted by device and time; returns its rows. The same size and seed, the same telemetry."""
    chance, rows = np.random.default_rng(seed), 0
    schema = pa.schema(
        [
            ("device_id", pa.string()),
            ("timestamp", pa.timestamp("us", "UTC")),
            ("model", pa.string()),
            ("store_id", pa.string()),
        ]
        + [(name, pa.float64()) for name in metric_names(size.metrics)]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(0, size.devices, _DEVICES_AT_ONCE):
            table = _devices(np.arange(first, min(first + _DEVICES_AT_ONCE, size.devices)), size, chance)
            rows += table.num_rows
            writer.write_table(table.cast(schema))
    return rows


def _devices(devices: Ints, size: FleetSize, chance: np.random.Generator) -> pa.Table:
    hour = np.tile(np.arange(size.hours), len(devices))
    device = np.repeat(devices, size.hours)
    kept = ~_in_gap(len(device), chance)
    hour, device = hour[kept], device[kept]
    time = _START + hour * _HOUR + chance.integers(0, _JITTER, len(hour))
    rhythm = np.sin(2 * np.pi * hour / 24)
    faulty = (chance.random(size.devices) < _FAULTY)[device] & (hour > 0.9 * size.hours)
    columns = {
        name: pa.array(values, mask=chance.random(len(values)) < _MISSING)
        for name, values in zip(metric_names(size.metrics), _values(device, rhythm, faulty, size, chance), strict=True)
    }
    return pa.table(
        {
            "device_id": _named("device", device, size.devices),
            "timestamp": pa.array(time, pa.timestamp("us", "UTC")),
            "model": _named("model", device % 12, 12),
            "store_id": _named("store", device // 20, size.devices // 20 + 1),
            **columns,
        }
    )


def _values(
    device: Ints, rhythm: Floats, faulty: npt.NDArray[np.bool_], size: FleetSize, chance: np.random.Generator
) -> list[Floats]:
    """One array a metric, by turns smooth, rhythmic and counted."""
    made: list[Floats] = []
    for number in range(size.metrics):
        level = 50.0 + 10.0 * (device % 12) + 5.0 * np.sin(device * (number + 1))
        match number % 3:
            case 0:
                values = level + chance.normal(0, 4, len(device))
            case 1:
                values = level + 15 * rhythm + chance.normal(0, 6, len(device))
            case _:
                values = chance.poisson(3 + device % 5).astype(np.float64)
        made.append(np.where(faulty & (number % 2 == 0), values + 40, values))
    return made


def _in_gap(rows: int, chance: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Rows inside one of the gaps of some hours that begin anywhere."""
    gap = np.zeros(rows, bool)
    for begin in np.flatnonzero(chance.random(rows) < _GAP):
        gap[begin : begin + _GAP_HOURS] = True
    return gap


def _named(kind: str, code: Ints, count: int) -> pa.Array:
    names = pa.array([f"{kind}-{number:05d}" for number in range(count)])
    return names.take(pa.array(code))
