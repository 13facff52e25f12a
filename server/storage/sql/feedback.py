"""Verdicts: added by the act, never changed but for being superseded by a later verdict on the same row."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, select, update
from sqlmodel import col

from server.domain.feedback import Feedback, FeedbackFilter
from server.errors import InvalidInput
from server.storage.moments import microseconds, moment
from server.storage.tables import FeedbackRow

if TYPE_CHECKING:
    import pyarrow as pa


def add(connection: Connection, rows: Sequence[Feedback]) -> int | None:
    """How many verdicts these superseded; None if their act is stored already, and nothing was done.

    Raises `InvalidInput` if they are not one act on one fleet, or judge a row twice.
    """
    first = _first_of_one_act(rows)
    act = exists().where(col(FeedbackRow.tenant) == first.fleet.tenant, col(FeedbackRow.act) == first.act)
    if connection.execute(select(act)).scalar_one():
        return None
    superseded = _supersede(connection, rows)
    from server.storage.sql.bulk import load  # noqa: PLC0415 - loads Arrow's kernels; reading needs none

    same = {"tenant": first.fleet.tenant, "fleet": first.fleet.name, "act": first.act}
    load(connection, FeedbackRow, _columns(rows), same=same)
    return superseded


def page(
    connection: Connection, tenant: str, wanted: FeedbackFilter, *, limit: int, offset: int
) -> tuple[Sequence[Feedback], int]:
    """Verdicts that pass the filter, newest first, and how many there are in all."""
    row, where = FeedbackRow, [col(FeedbackRow.tenant) == tenant, *_narrowing(wanted)]
    total = connection.execute(select(func.count()).select_from(FeedbackRow).where(*where)).scalar_one()
    newest_first = (col(row.created).desc(), col(row.id).desc())
    rows = select(col(row.body), col(row.superseded)).where(*where).order_by(*newest_first).limit(limit).offset(offset)
    return [_feedback(body, superseded) for body, superseded in connection.execute(rows)], total


def _feedback(body: str, superseded: int | None) -> Feedback:
    found = Feedback.model_validate_json(body)
    return found if superseded is None else found.model_copy(update={"superseded": moment(superseded)})


def _first_of_one_act(rows: Sequence[Feedback]) -> Feedback:
    if not rows or any((row.fleet, row.act) != (rows[0].fleet, rows[0].act) for row in rows):
        raise InvalidInput("verdicts are stored by the act: at least one, all of one act on one fleet.")
    if len({(row.device, row.time) for row in rows}) < len(rows):
        raise InvalidInput(f"act {rows[0].act} judges a device's row twice. Give each device and time one verdict.")
    return rows[0]


def _supersede(connection: Connection, rows: Sequence[Feedback]) -> int:
    row, tenant = FeedbackRow, rows[0].fleet.tenant
    judged = {(each.device, microseconds(each.time)): microseconds(each.created) for each in rows}
    times = [time for _, time in judged]
    current = select(col(row.id), col(row.device), col(row.time)).where(
        col(row.tenant) == tenant,
        col(row.fleet) == rows[0].fleet.name,
        col(row.time).between(min(times), max(times)),
        col(row.superseded).is_(None),
    )
    before = [
        {"its_id": known, "now": judged[device, time]}
        for known, device, time in connection.execute(current)
        if (device, time) in judged
    ]
    if before:
        # one by one by key: IN with 1,000 ids at a time took 18 s for the third act of 20,000 on PostgreSQL
        one = update(FeedbackRow).where(col(row.tenant) == tenant, col(row.id) == bindparam("its_id"))
        connection.execute(one.values(superseded=bindparam("now")), before)
    return len(before)


def _columns(rows: Sequence[Feedback]) -> "pa.RecordBatch":
    import pyarrow as pa  # noqa: PLC0415 - see above

    return pa.record_batch(
        {
            "id": [row.id for row in rows],
            "run": [row.run for row in rows],
            "verdict": [row.verdict.value for row in rows],
            "anomaly": [row.anomaly for row in rows],
            "device": [row.device for row in rows],
            "time": [microseconds(row.time) for row in rows],
            "metrics": ["".join(map(_line, row.metrics)) for row in rows],
            "author": [row.author for row in rows],
            "created": [microseconds(row.created) for row in rows],
            "body": [row.model_copy(update={"superseded": None}).model_dump_json() for row in rows],
        }
    )


def _line(metric: str) -> str:
    return f"\n{json.dumps(metric)}\n"


def _narrowing(wanted: FeedbackFilter) -> list[ColumnElement[bool]]:
    row = FeedbackRow
    exact = (
        (col(row.fleet), wanted.fleet),
        (col(row.run), wanted.run),
        (col(row.verdict), wanted.verdict),
        (col(row.device), wanted.device),
        (col(row.anomaly), wanted.anomaly),
        (col(row.act), wanted.act),
        (col(row.author), wanted.author),
    )
    found = [column == value for column, value in exact if value is not None]
    if wanted.metric is not None:
        # the only search that both kinds of store do the same way; LIKE takes `A` for `a` on SQLite
        found.append(func.replace(col(row.metrics), _line(wanted.metric), "") != col(row.metrics))
    if wanted.current:
        found.append(col(row.superseded).is_(None))
    return found
