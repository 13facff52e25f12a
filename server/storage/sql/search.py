"""What anomalies are searched by, in batches that are worst first, and where each id is among them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, func, select
from sqlmodel import col

from server.domain.anomaly import AnomalyFilter
from server.storage.moments import microseconds
from server.storage.sql.packed import unpack
from server.storage.sql.scored import ScoredSet
from server.storage.tables import AnomalyIdRow, AnomalySearchRow

ROWS, IDS = 16_384, 4_096
"""Rows in a full batch of what is searched, and of the ids."""

_LAST_SIGN = "\U0010ffff"


class Found(NamedTuple):
    """One anomaly that was found: its scored set, and the batch and row that have what it is searched by."""

    set_id: int
    batch: pa.RecordBatch
    row: int

    @property
    def place(self) -> int:
        """Where its other columns are."""
        return self.batch.column("place")[self.row].as_py()

    def searched(self) -> dict[str, Any]:
        """The columns that it is searched by."""
        return {
            name: column[self.row].as_py() for name, column in zip(self.batch.schema.names, self.batch.columns, strict=True)
        }


def page(
    connection: Connection, sets: Mapping[int, ScoredSet], wanted: AnomalyFilter, *, limit: int, offset: int
) -> tuple[list[Found], int]:
    """Anomalies of the sets that pass the filter, worst first, and how many there are in all.

    Of equal severity those of the newer set come first, then those of the higher id.
    """
    narrows = wanted.model_copy(update={"fleet": None, "run": None}) != AnomalyFilter()
    total, need, parts = 0, offset + limit, list[tuple[int, pa.RecordBatch, npt.NDArray[np.int64]]]()
    for set_id in sorted(sets, reverse=True):
        found = 0
        for batch in _batches(connection, set_id, None if narrows else need):
            rows = _passing(batch, wanted)
            if found < need and len(rows):
                parts.append((set_id, batch, rows[: need - found]))
            found += len(rows)
        total += found if narrows else sets[set_id].anomalies
    return _worst(parts)[offset:need], total


def one(connection: Connection, set_id: int, first: str, anomaly_id: str) -> Found | None:
    """The set's anomaly of that id, which is in the batch of ids that begins with `first` if it is in any."""
    row = AnomalyIdRow
    body = connection.execute(select(col(row.body)).where(col(row.scored_set) == set_id, col(row.first) == first)).scalar_one()
    ids = unpack(body)
    known = ids.column("id").to_pylist()
    at = int(np.searchsorted(np.array(known, object), anomaly_id))
    if at == len(known) or known[at] != anomaly_id:
        return None
    number, position = divmod(ids.column("rank")[at].as_py(), ROWS)
    searched = AnomalySearchRow
    wanted = select(col(searched.body)).where(col(searched.scored_set) == set_id, col(searched.number) == number)
    return Found(set_id, unpack(connection.execute(wanted).scalar_one()), position)


def ids_from(connection: Connection, set_id: int, start: str, limit: int) -> list[str]:
    """Ids of the set that begin with `start`, in order, `limit` at most."""
    row = AnomalyIdRow
    before = select(func.max(col(row.first))).where(col(row.scored_set) == set_id, col(row.first) <= start)
    begin = connection.execute(before).scalar_one() or start
    wanted = select(col(row.body)).where(
        col(row.scored_set) == set_id, col(row.first) >= begin, col(row.first) < start + _LAST_SIGN
    )
    # all of the second batch begin with it or come after: no third is needed
    bodies = connection.execute(wanted.order_by(col(row.first)).limit(2)).scalars()
    found = [each for body in bodies for each in unpack(body).column("id").to_pylist() if each.startswith(start)]
    return found[:limit]


def _batches(connection: Connection, set_id: int, need: int | None) -> Iterator[pa.RecordBatch]:
    """All batches of a set, or those with its worst `need` anomalies."""
    row = AnomalySearchRow
    wanted = select(col(row.body)).where(col(row.scored_set) == set_id)
    if need is not None:
        wanted = wanted.where(col(row.number) < -(-need // ROWS))
    for body in connection.execute(wanted.order_by(col(row.number))).scalars():
        yield unpack(body)


def _passing(batch: pa.RecordBatch, wanted: AnomalyFilter) -> npt.NDArray[np.int64]:
    severity, time = _numbers(batch.column("severity")), _numbers(batch.column("time"))
    passing = severity >= wanted.min_severity
    if wanted.start is not None:
        passing &= time >= microseconds(wanted.start)
    if wanted.end is not None:
        passing &= time <= microseconds(wanted.end)
    for name, value in (("device", wanted.device), ("incident", wanted.incident), ("top_metric", wanted.metric)):
        if value is not None:
            passing &= _equal(batch.column(name), value)
    return np.flatnonzero(passing)


def _numbers(column: pa.Array) -> npt.NDArray[Any]:
    """The column without a copy; `to_numpy` would load pandas, which takes longer than all else that listing anomalies does."""
    return np.from_dlpack(column)


def _equal(column: pa.DictionaryArray, value: str) -> npt.NDArray[np.bool_]:
    names = column.dictionary.to_pylist()
    code = names.index(value) if value in names else -1
    equal: npt.NDArray[np.bool_] = _numbers(column.indices) == code
    return equal


def _worst(parts: list[tuple[int, pa.RecordBatch, npt.NDArray[np.int64]]]) -> list[Found]:
    if len({set_id for set_id, _, _ in parts}) < 2:
        return [Found(set_id, batch, row) for set_id, batch, rows in parts for row in rows.tolist()]
    severity = np.concatenate([_numbers(batch.column("severity"))[rows] for _, batch, rows in parts])
    found = [Found(set_id, batch, row) for set_id, batch, rows in parts for row in rows.tolist()]
    return [found[at] for at in np.argsort(-severity, kind="stable").tolist()]
