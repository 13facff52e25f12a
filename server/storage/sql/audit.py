"""The audit trail of each tenant: a hash chain, so that an edited, removed or moved row shows.

The chain needs no key: it reveals an edit by anyone who does not rewrite the whole trail from there on, its head included.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlmodel import SQLModel, col

from server.domain.audit import AuditEntry
from server.errors import ArtifactDamaged, InvalidInput
from server.storage.tables import AuditHeadRow, AuditRow

_ADVICE = "Compare it with a backup, and ask who can write to the store."
_FIELDS = tuple(AuditEntry.model_fields)
_TABLE = SQLModel.metadata.tables["audit"]
_ROWS_AT_ONCE = 1_000


def append(connection: Connection, entry: AuditEntry) -> None:
    """Add the entry at the end of its tenant's trail. The caller's transaction holds the tenant's lock.

    Raises:
        InvalidInput: its time says no zone.
    """
    if entry.time.utcoffset() is None:
        raise InvalidInput("an audit entry needs a time with a zone.")
    number, previous = _head(connection, entry.tenant) or (0, "")
    act = entry.model_dump() | {"time": entry.time.astimezone(UTC)}
    hashed = _hash(number + 1, previous, act)
    connection.execute(insert(AuditRow).values(**act, number=number + 1, previous=previous, hash=hashed))
    if number:
        head = update(AuditHeadRow).where(col(AuditHeadRow.tenant) == entry.tenant).values(number=number + 1, hash=hashed)
    else:
        head = insert(AuditHeadRow).values(tenant=entry.tenant, number=1, hash=hashed)
    connection.execute(head)


def page(connection: Connection, tenant: str, *, limit: int, offset: int) -> Sequence[AuditEntry]:
    """The tenant's entries, newest first."""
    wanted = select(_TABLE).where(col(AuditRow.tenant) == tenant).order_by(col(AuditRow.number).desc())
    found = connection.execute(wanted.limit(limit).offset(offset)).mappings()
    return [AuditEntry.model_validate({name: row[name] for name in _FIELDS}) for row in found]


def verify(connection: Connection, tenant: str) -> int:
    """Number of rows in the trail, all checked. Raises `ArtifactDamaged` naming the first that is not as written."""
    wanted = select(_TABLE).where(col(AuditRow.tenant) == tenant).order_by(col(AuditRow.number))
    number, previous = 0, ""
    with connection.execute(wanted, execution_options={"yield_per": _ROWS_AT_ONCE}) as rows:
        for row in rows.mappings():
            number += 1
            fault = _fault(row, number, previous)
            if fault:
                raise _damaged(tenant, fault)
            previous = row["hash"]
    end, hashed = _head(connection, tenant) or (0, "")
    if end > number:
        raise _damaged(tenant, f"row {number + 1} was removed")
    if (end, hashed) != (number, previous):
        raise _damaged(tenant, f"row {number} is not the one that its head names")
    return number


def _fault(row: RowMapping, number: int, previous: str) -> str:
    if row["number"] != number:
        return f"row {number} was removed"
    if row["hash"] != _hash(number, row["previous"], row):
        return f"row {number} was edited or moved"
    return "" if row["previous"] == previous else f"row {number} does not follow the row before it"


def _head(connection: Connection, tenant: str) -> tuple[int, str] | None:
    wanted = select(col(AuditHeadRow.number), col(AuditHeadRow.hash)).where(col(AuditHeadRow.tenant) == tenant)
    head = connection.execute(wanted).one_or_none()
    return None if head is None else (head.number, head.hash)


def _hash(number: int, previous: str, act: Mapping[Any, Any]) -> str:
    words = [number, previous, *(str(act[name]) for name in _FIELDS)]
    return hashlib.sha256(json.dumps(words, ensure_ascii=True).encode()).hexdigest()


def _damaged(tenant: str, why: str) -> ArtifactDamaged:
    return ArtifactDamaged(f"audit trail of tenant {tenant}", why, advice=_ADVICE)
