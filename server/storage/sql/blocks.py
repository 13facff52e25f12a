"""What is never searched of an anomaly, packed in blocks of many rows: Arrow, compressed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, RowMapping, insert, select
from sqlmodel import col

from server.storage.tables import AnomalyBlockRow

ROWS = 512
"""Rows in a full block; an anomaly's `place` is ROWS times its block's number, plus its position in that block."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


def write(connection: Connection, set_id: int, tenant: str, first: int, rows: pa.RecordBatch) -> int:
    """Store the rows as blocks numbered from `first`; returns the first number that is free then."""
    packed = [
        {"scored_set": set_id, "tenant": tenant, "number": number, "body": _pack(rows.slice(start, ROWS))}
        for number, start in enumerate(range(0, rows.num_rows, ROWS), first)
    ]
    connection.execute(insert(AnomalyBlockRow), packed)
    return first + len(packed)


def read(connection: Connection, found: Sequence[RowMapping]) -> Iterator[Mapping[str, Any]]:
    """For each of the found anomalies (with `scored_set` and `place`), in their order, its columns that are kept in blocks."""
    row, blocks = AnomalyBlockRow, dict[tuple[int, int], pa.RecordBatch]()
    for set_id in {each["scored_set"] for each in found}:
        numbers = {each["place"] // ROWS for each in found if each["scored_set"] == set_id}
        wanted = select(col(row.number), col(row.body)).where(col(row.scored_set) == set_id, col(row.number).in_(numbers))
        blocks |= {(set_id, each.number): _unpack(each.body) for each in connection.execute(wanted)}
    for each in found:
        number, position = divmod(each["place"], ROWS)
        yield blocks[each["scored_set"], number].slice(position, 1).to_pylist()[0]


def _pack(rows: pa.RecordBatch) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, rows.schema, options=_OPTIONS) as stream:
        stream.write_batch(rows)
    return out.getvalue().to_pybytes()


def _unpack(body: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(body) as stream:
        return stream.read_next_batch()
