"""Rolling features per device: for each metric the mean and spread of a time window and the change since the window before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.domain.baseline import Statistic
from server.domain.settings import FeatureSettings
from server.domain.telemetry import Metric, Snapshot, Transform
from server.kernels.windows import fill_features
from server.pipeline.parallel import in_order

KEYS = ("device", "cohort", "store", "customer", "time", "reference")
"""Columns that a block carries besides its metrics or features."""

_INTERVALS_PER_WINDOW = 12
_MICROSECOND = timedelta(microseconds=1)
_ROUND_SECONDS = (
    *(unit * n for unit in (1, 60) for n in (1, 2, 3, 5, 6, 10, 12, 15, 20, 30)),
    *(3600 * n for n in (1, 2, 3, 4, 6, 8, 12, 24)),
)
_NEAR = 0.02


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: a statistic of a metric's window."""

    metric: Metric
    statistic: Statistic

    @property
    def name(self) -> str:
        """The column's name in every artifact."""
        return f"{self.metric.name}_{self.statistic.value}"


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """Which features are made, and over which windows: all that the kernel needs to know."""

    metrics: tuple[Metric, ...]
    window: timedelta
    lag: timedelta
    min_count: int = 6
    """Values that a window's statistics rest on at least: half a full window, as a device's first hours say little."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """All columns: every metric's mean, then every metric's std, then every metric's change."""
        return tuple(Feature(metric, statistic) for statistic in Statistic for metric in self.metrics)

    @property
    def lookback(self) -> timedelta:
        """How far before a row its features may reach: a later part of a device needs this much of what came before."""
        return self.lag + 2 * self.window


def plan_features(snapshot: Snapshot, settings: FeatureSettings) -> FeaturePlan:
    """The plan for a snapshot: windows as set, else 12 sampling intervals for both, which are 12 hours on hourly rows."""
    window = settings.window or _INTERVALS_PER_WINDOW * _rhythm(snapshot.interval)
    return FeaturePlan(snapshot.metrics, window, settings.lag or window)


def _rhythm(interval: timedelta) -> timedelta:
    """The round interval within 2 % of the one measured, if any: jitter must not give each snapshot windows of its own."""
    near = min(_ROUND_SECONDS, key=lambda seconds: abs(interval / timedelta(seconds=seconds) - 1))
    rounded = timedelta(seconds=near)
    return rounded if abs(interval / rounded - 1) <= _NEAR else interval


def engineer_features(blocks: Iterable[pa.RecordBatch], plan: FeaturePlan, *, threads: int = 1) -> Iterator[pa.RecordBatch]:
    """Each block's keys with its features (float64, NaN where there is a gap or too little history), in the same order.

    Blocks hold whole devices sorted by device and time, as `TelemetryStore.blocks` gives them.
    """
    return in_order(partial(featurise, plan=plan), blocks, threads)


def featurise(block: pa.RecordBatch, plan: FeaturePlan) -> pa.RecordBatch:
    """One block's keys and features. A row whose own value is missing has no features of that metric: gaps stay gaps."""
    values = np.stack([_transformed(block.column(metric.name), metric.transform) for metric in plan.metrics])
    features = np.empty((len(Statistic), *values.shape))
    windows = (plan.window // _MICROSECOND, plan.lag // _MICROSECOND, plan.min_count)
    fill_features(device_bounds(block), block.column("time").to_numpy(), values, windows, features)
    columns = {key: block.column(key) for key in KEYS}
    flat = features.reshape(len(plan.features), values.shape[1])
    return without_nulls(columns | {feature.name: flat[i] for i, feature in enumerate(plan.features)})


def without_nulls(columns: Mapping[str, pa.Array | npt.NDArray[np.generic]], *, but_in: Sequence[str] = ()) -> pa.RecordBatch:
    """A batch whose columns are declared to hold no null (missing is NaN), except those in `but_in`.

    That spares Parquet a level for every value, so that values lie side by side in the file.
    """
    arrays = {name: pa.array(column) for name, column in columns.items()}
    schema = pa.schema([pa.field(name, array.type, nullable=name in but_in) for name, array in arrays.items()])
    return pa.RecordBatch.from_arrays(list(arrays.values()), schema=schema)


def device_bounds(block: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Where each device's rows begin, and the number of rows last; shape (devices + 1,)."""
    device = block.column("device").to_numpy()
    return np.concatenate(([0], np.flatnonzero(np.diff(device)) + 1, [len(device)])).astype(np.int64)


def _transformed(column: pa.Array, transform: Transform) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    if transform is Transform.LOG1P:
        return np.log1p(np.maximum(values, 0.0))
    return values
