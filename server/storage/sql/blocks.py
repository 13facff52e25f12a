"""What is never searched of an anomaly, packed in blocks of many rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, select
from sqlmodel import col

from server.storage.sql.packed import pack, store, unpack
from server.storage.tables import AnomalyBlockRow

ROWS = 512
"""Rows in a full block; an anomaly's `place` is ROWS times its block's number, plus its position in that block."""


def write(connection: Connection, set_id: int, tenant: str, first: int, rows: pa.RecordBatch) -> int:
    """Store the rows as blocks numbered from `first`; returns the first number that is free then."""
    packed = [
        (set_id, number, tenant, pack(rows.slice(start, ROWS)))
        for number, start in enumerate(range(0, rows.num_rows, ROWS), first)
    ]
    store(connection, AnomalyBlockRow, packed)
    return first + len(packed)


def read(connection: Connection, found: Sequence[tuple[int, int]]) -> Iterator[Mapping[str, Any]]:
    """For each of the anomalies, given by scored set and place, in their order, its columns that are kept in blocks."""
    row, blocks = AnomalyBlockRow, dict[tuple[int, int], pa.RecordBatch]()
    for wanted_set in {set_id for set_id, _ in found}:
        numbers = {place // ROWS for set_id, place in found if set_id == wanted_set}
        wanted = select(col(row.number), col(row.body)).where(col(row.scored_set) == wanted_set, col(row.number).in_(numbers))
        blocks |= {(wanted_set, each.number): unpack(each.body) for each in connection.execute(wanted)}
    for set_id, place in found:
        number, position = divmod(place, ROWS)
        yield blocks[set_id, number].slice(position, 1).to_pylist()[0]
