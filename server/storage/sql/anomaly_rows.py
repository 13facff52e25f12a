"""The way of a set's anomalies into the store: the searched columns as rows, the others in blocks."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from server.errors import InvalidInput
from server.storage.columns import ANOMALY_COLUMNS
from server.storage.sql import blocks
from server.storage.sql.bulk import chunks, load
from server.storage.tables import AnomalyRow

_SEARCHED = ("id", "device", "time", "severity", "top_metric", "incident")
_OTHERS = tuple(name for name in ANOMALY_COLUMNS.names if name not in _SEARCHED)
_WORST_FIRST = (("severity", "descending"), ("id", "descending"))


def insert_anomalies(connection: Connection, set_id: int, tenant: str, anomalies: "pa.Table | Iterable[pa.RecordBatch]") -> int:
    """Number of anomalies inserted. A page of the worst lies in one block or two, if they come as one table.

    Raises `InvalidInput` naming the column that cannot be stored.
    """
    count = number = 0
    for chunk in chunks(anomalies, ANOMALY_COLUMNS, _WORST_FIRST):
        if chunk.num_rows == 0:
            continue
        _require_shares(chunk["confidence"])
        first = number * blocks.ROWS
        places = pa.array(range(first, first + chunk.num_rows), pa.int64())
        load(
            connection,
            AnomalyRow,
            chunk.select(_SEARCHED).append_column("place", places),
            same={"scored_set": set_id, "tenant": tenant},
        )
        number = blocks.write(connection, set_id, tenant, number, chunk.select(_OTHERS))
        count += chunk.num_rows
    return count


def _require_shares(confidence: pa.Array) -> None:
    found = pc.call_function("min_max", [confidence]).as_py()
    if found["min"] < 0 or found["max"] > 1:
        raise InvalidInput(f"column confidence goes from {found['min']} to {found['max']}; it is a share, from 0 to 1.")
