"""One batch of source rows to stored columns: what is no row is set apart with its reason, what is no value becomes missing."""

# pyarrow makes its compute functions when it is imported, so a checker does not see them
# pyright: reportAttributeAccessIssue=false

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from server.domain.telemetry import ColumnMapping, Metric, Rejection
from server.storage.telemetry.names import Kind, Names
from server.storage.telemetry.parsing import Mask, Micros, Values, numbers, times

_FIRST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_REASONS = tuple(Rejection)
KEPT = -1


@dataclass
class Screen:
    """Screens batch after batch of one source, and counts as it goes.

    `metrics` maps each metric column of the source to what is known of it, `columns` to the stored column's name;
    `last` is the latest stored event time of each device, by code. `in_order` says that the rows so far are sorted by device
    and time without ties, `appends` that they are also later than all stored rows of their devices.
    """

    mapping: ColumnMapping
    metrics: Mapping[str, Metric]
    columns: Mapping[str, str]
    names: Names
    now: datetime
    last: Micros
    rows: int = 0
    in_order: bool = True
    appends: bool = True
    rejected: Counter[Rejection] = field(default_factory=Counter[Rejection])
    dropped: Counter[str] = field(default_factory=Counter[str])
    _end: tuple[int, int] = (-1, 0)

    def schema(self) -> pa.Schema:
        """Columns of the screened batches; `reason` and `row` are filled for rejected rows only."""
        codes = [(name, pa.int32()) for name in ("device", "cohort", "store", "customer", "split")]
        head = [*codes, ("time", pa.int64()), ("arrival", pa.int64()), ("disordered", pa.bool_())]
        tail = [("reason", pa.string()), ("row", pa.string())]
        return pa.schema([*head, *tail, *((self.columns[name], pa.float64()) for name in self.mapping.metrics)])

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch under the stored columns, rejected rows included and marked."""
        count = batch.num_rows
        self.rows += count
        values, malformed = self._values(batch)
        time, reasons = self._reasons(batch, malformed)
        device = self.names.encode(Kind.DEVICE, _where(reasons == KEPT, batch.column(self.mapping.device)), count)
        reasons[(device < 0) & (reasons == KEPT)] = _REASONS.index(Rejection.NO_DEVICE)
        kept = reasons == KEPT
        disordered = self._disorder(device, time, kept)
        codes = [device, *self._codes(batch, kept)]
        arrays = [pa.array(column) for column in codes]
        arrays += [pa.array(time), self._arrival(batch), pa.array(disordered)]
        arrays += [*self._set_apart(batch, reasons), *(pa.array(column) for column in values)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema())

    def _codes(self, batch: pa.RecordBatch, kept: Mask) -> Iterator[NDArray[np.int32]]:
        yield self.names.encode_cohorts({name: _where(kept, batch.column(name)) for name in self.mapping.cohort}, len(kept))
        roles = ((Kind.STORE, self.mapping.store), (Kind.CUSTOMER, self.mapping.customer), (Kind.SPLIT, self.mapping.split))
        for kind, name in roles:
            yield self.names.encode(kind, _where(kept, batch.column(name)) if name else None, len(kept))

    def _values(self, batch: pa.RecordBatch) -> tuple[list[Values], Mask]:
        malformed = np.zeros(batch.num_rows, bool)
        columns: list[Values] = []
        for name in self.mapping.metrics:
            values, unreadable = numbers(batch.column(name))
            if unreadable is not None:
                malformed |= unreadable
            columns.append(self._within_bounds(values, self.metrics[name]))
        return columns, malformed

    def _within_bounds(self, values: Values, metric: Metric) -> Values:
        missing = np.isnan(values)
        lower, upper = metric.bounds
        outside = (values < lower) | (values > upper)
        for sentinel in metric.sentinels:
            outside |= values == sentinel
        if outside.any():
            self.dropped[metric.name] += int(np.count_nonzero(outside))
        elif not missing.any():
            return values + 0.0  # a negative zero equals zero, so it must be stored as the same bits
        return np.where(missing | outside, np.nan, values) + 0.0

    def _reasons(self, batch: pa.RecordBatch, malformed_value: Mask) -> tuple[Micros, NDArray[np.int8]]:
        time, missing, malformed = times(batch.column(self.mapping.time))
        latest = int((self.now.astimezone(UTC) + timedelta(days=1)).timestamp() * 1_000_000)
        reasons = np.full(len(time), KEPT, np.int8)
        verdicts = (
            (Rejection.MALFORMED_VALUE, malformed_value),
            (Rejection.FUTURE, time > latest),
            (Rejection.BEFORE_2000, time < _FIRST),
            (Rejection.MALFORMED_TIME, malformed),
            (Rejection.NO_TIME, missing),
        )
        for reason, mask in verdicts:
            reasons[mask] = _REASONS.index(reason)
        return time, reasons

    def _arrival(self, batch: pa.RecordBatch) -> pa.Array:
        if self.mapping.arrival is None:
            return pa.nulls(batch.num_rows, pa.int64())
        arrival, missing, malformed = times(batch.column(self.mapping.arrival))
        return pa.array(arrival, mask=missing | malformed)

    def _set_apart(self, batch: pa.RecordBatch, reasons: NDArray[np.int8]) -> tuple[pa.Array, pa.Array]:
        apart = np.flatnonzero(reasons != KEPT)
        if not len(apart):
            return pa.nulls(batch.num_rows, pa.string()), pa.nulls(batch.num_rows, pa.string())
        names = [_REASONS[code] for code in reasons[apart]]
        self.rejected.update(names)
        texts = [as_json(row) for row in batch.take(pa.array(apart)).to_pylist()]
        place, empty = pa.array(reasons != KEPT), pa.nulls(batch.num_rows, pa.string())
        # `take` would set aside the mean length for every row of the batch, however few are rejected
        return pc.replace_with_mask(empty, place, pa.array([name.value for name in names])), pc.replace_with_mask(
            empty, place, pa.array(texts)
        )

    def _disorder(self, device: NDArray[np.int32], time: Micros, kept: Mask) -> Mask:
        """Which kept rows came after a later row of their device; also keeps `in_order` and `appends`."""
        flags = np.zeros(len(device), bool)
        if not kept.any():
            return flags
        device, time = device[kept], time[kept]
        self._track_order(device, time)
        unseen = max(0, int(device.max()) + 1 - len(self.last))
        self.last = np.append(self.last, np.full(unseen, _FIRST, np.int64))
        self.appends = self.appends and self.in_order and bool(np.all(time > self.last[device]))
        flags[kept] = time < self.last[device] if self.in_order else self._after_a_later_row(device, time)
        np.maximum.at(self.last, device, time)
        return flags

    def _track_order(self, device: NDArray[np.int32], time: Micros) -> None:
        step = np.diff(device)
        sorted_here = bool(np.all((step > 0) | ((step == 0) & (np.diff(time) > 0))))
        self.in_order = self.in_order and sorted_here and (int(device[0]), int(time[0])) > self._end
        self._end = (int(device[-1]), int(time[-1]))

    def _after_a_later_row(self, device: NDArray[np.int32], time: Micros) -> Mask:
        order = np.argsort(device, kind="stable")
        _, rank = np.unique(time, return_inverse=True)
        # ranks below the device's part of the key: one running maximum over all devices then never leaks from one to the next
        key = device[order].astype(np.int64) * (len(time) + 1) + rank[order]
        behind = np.empty(len(time), bool)
        behind[order] = key < np.maximum.accumulate(key)
        return behind | (time < self.last[device])


def _where(kept: Mask, column: pa.Array) -> pa.Array:
    """The column with cells of other rows blanked: a name that only rejected rows carry is no name of the fleet."""
    return column if kept.all() else pc.if_else(pa.array(kept), column, pa.scalar(None, column.type))


def as_json(row: Mapping[str, object]) -> str:
    """The row as it came, as one line of JSON; cells that JSON has no word for are written as text."""
    return json.dumps(row, default=str, ensure_ascii=False, sort_keys=True)


def known_metrics(columns: Sequence[str], stated: Sequence[Metric], catalogue: Sequence[Metric]) -> dict[str, Metric]:
    """What is known of each column: what the source states, filled in from the catalogue, else only its name."""
    listed = {metric.name: metric for metric in catalogue}
    own = {metric.name: metric for metric in stated}
    return {name: _merged(name, own.get(name), listed.get(name)) for name in columns}


def _merged(name: str, own: Metric | None, listed: Metric | None) -> Metric:
    if own is None or listed is None:
        return own or listed or Metric.model_validate({"name": name})
    return Metric.model_validate({**listed.model_dump(), **{field: getattr(own, field) for field in own.model_fields_set}})
