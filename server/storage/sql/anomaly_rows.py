"""The way of a set's anomalies into the store: what they are searched by, their ids, and blocks of the other columns."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from server.errors import InvalidInput
from server.storage.columns import ANOMALY_COLUMNS
from server.storage.sql import blocks, search
from server.storage.sql.bulk import chunks
from server.storage.sql.packed import pack, store
from server.storage.tables import AnomalyIdRow, AnomalySearchRow

_SEARCHED = ("id", "device", "time", "severity", "top_metric", "incident")
_OTHERS = tuple(name for name in ANOMALY_COLUMNS.names if name not in _SEARCHED)
_REPEATED = ("device", "top_metric", "incident")
_WORST_FIRST = (("severity", "descending"), ("id", "descending"))


def insert_anomalies(connection: Connection, set_id: int, tenant: str, anomalies: "pa.Table | Iterable[pa.RecordBatch]") -> int:
    """Number of anomalies inserted. A page of the worst lies in one block or two, if they come as one table.

    Raises `InvalidInput` naming the column that cannot be stored, or an id that is there twice.
    """
    searched: list[pa.RecordBatch] = []
    number = 0
    for chunk in chunks(anomalies, ANOMALY_COLUMNS, _WORST_FIRST):
        if chunk.num_rows == 0:
            continue
        _require_between(chunk, "severity", 100)
        _require_between(chunk, "confidence", 1)
        first = number * blocks.ROWS
        places = pa.array(np.arange(first, first + chunk.num_rows))
        searched.append(chunk.select(_SEARCHED).append_column("place", places))
        number = blocks.write(connection, set_id, tenant, number, chunk.select(_OTHERS))
    if not searched:
        return 0
    table = pa.Table.from_batches(searched)
    if not isinstance(anomalies, pa.Table):  # which was sorted as a whole
        table = table.sort_by(list(_WORST_FIRST))
    (whole,) = table.combine_chunks().to_batches()
    _write_ids(connection, set_id, tenant, whole.column("id"))
    _write_searched(connection, set_id, tenant, whole)
    return whole.num_rows


def _write_searched(connection: Connection, set_id: int, tenant: str, whole: pa.RecordBatch) -> None:
    def coded(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            column.dictionary_encode() if name in _REPEATED else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return pa.record_batch(columns, names=batch.schema.names)

    starts = range(0, whole.num_rows, search.ROWS)
    packed = [(set_id, number, tenant, pack(coded(whole.slice(start, search.ROWS)))) for number, start in enumerate(starts)]
    store(connection, AnomalySearchRow, packed)


def _write_ids(connection: Connection, set_id: int, tenant: str, unsorted: pa.Array) -> None:
    order = pc.call_function("array_sort_indices", [unsorted])
    ids = unsorted.take(order)
    twice = pc.call_function("equal", [ids.slice(1), ids.slice(0, len(ids) - 1)])
    again = pc.call_function("index", [twice], pc.IndexOptions(pa.scalar(True))).as_py()
    if again >= 0:
        raise InvalidInput(f"the records refuse these rows: id {ids[again]} is there twice. Give each anomaly its own.")
    sorted_ids = pa.record_batch({"id": ids, "rank": order.cast(pa.int32())})
    starts = range(0, len(ids), search.IDS)
    packed = [(set_id, ids[start].as_py(), tenant, pack(sorted_ids.slice(start, search.IDS))) for start in starts]
    store(connection, AnomalyIdRow, packed)


def _require_between(chunk: pa.RecordBatch, name: str, most: int) -> None:
    found = pc.call_function("min_max", [chunk.column(name)]).as_py()
    if found["min"] < 0 or found["max"] > most:
        raise InvalidInput(f"column {name} goes from {found['min']} to {found['max']}; it has to be from 0 to {most}.")
