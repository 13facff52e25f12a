"""Suggestions and where they stand: what was done to them is stored, expired and stale follow from the time and the version."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, func, insert, select
from sqlmodel import col

from server.domain.suggestion import Decision, Preview, StandingSuggestion, Suggestion, SuggestionStatus
from server.errors import InvalidInput, NotFound
from server.storage.tables import BaselineVersionRow, PreviewRow, SuggestionRow

_NEAR = 200
_OPEN = (SuggestionStatus.PENDING, SuggestionStatus.APPROVED)


def add(connection: Connection, suggestion: Suggestion) -> None:
    """Store a new suggestion, pending. Raises `InvalidInput` if its tenant has one of that id."""
    row, tenant = SuggestionRow, suggestion.fleet.tenant
    known = select(col(row.id)).where(col(row.tenant) == tenant, col(row.id) == suggestion.id)
    if connection.execute(known).first() is not None:
        raise InvalidInput(f"suggestion {suggestion.id!r} exists already. Choose another id, or go on with that one.")
    connection.execute(
        insert(SuggestionRow).values(
            tenant=tenant,
            id=suggestion.id,
            fleet=suggestion.fleet.name,
            created=suggestion.created,
            expires=suggestion.expires,
            base_version=suggestion.base_version,
            status=SuggestionStatus.PENDING,
            body=suggestion.model_dump_json(),
        )
    )


def one(connection: Connection, tenant: str, suggestion_id: str, now: datetime) -> StandingSuggestion:
    """The suggestion as it stands now. Raises `NotFound` with near matches among the tenant's newest."""
    found = connection.execute(_standing(tenant, now).where(col(SuggestionRow.id) == suggestion_id)).mappings().one_or_none()
    if found is None:
        raise missing(connection, tenant, suggestion_id)
    return _read(found)


def page(
    connection: Connection,
    tenant: str,
    *,
    now: datetime,
    fleet: str | None,
    status: SuggestionStatus | None,
    limit: int,
    offset: int,
) -> tuple[Sequence[StandingSuggestion], int]:
    """Suggestions as they stand now, newest first, and how many there are in all."""
    wanted = _standing(tenant, now)
    if fleet is not None:
        wanted = wanted.where(col(SuggestionRow.fleet) == fleet)
    if status is not None:
        wanted = wanted.where(_status(now) == status)
    total = connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
    newest_first = (col(SuggestionRow.created).desc(), col(SuggestionRow.id).desc())
    found = connection.execute(wanted.order_by(*newest_first).limit(limit).offset(offset)).mappings()
    return [_read(row) for row in found], total


def missing(connection: Connection, tenant: str, suggestion_id: str) -> NotFound:
    """The error for a suggestion that the tenant does not have."""
    row = SuggestionRow
    ids = select(col(row.id)).where(col(row.tenant) == tenant).order_by(col(row.created).desc()).limit(_NEAR)
    return NotFound("suggestion", suggestion_id, list(connection.execute(ids).scalars()))


def _standing(tenant: str, now: datetime) -> Select[*tuple[Any, ...]]:
    row, version, preview = SuggestionRow, BaselineVersionRow, PreviewRow
    in_force = and_(
        col(version.tenant) == col(row.tenant), col(version.fleet) == col(row.fleet), col(version.expired).is_(None)
    )
    newest = and_(col(preview.tenant) == col(row.tenant), col(preview.digest) == col(row.preview))
    return (
        select(
            col(row.body),
            _status(now).label("status"),
            col(row.decision),
            col(row.applied_version),
            col(preview.body).label("preview"),
        )
        .outerjoin(BaselineVersionRow, in_force)
        .outerjoin(PreviewRow, newest)
        .where(col(row.tenant) == tenant)
    )


def _status(now: datetime) -> ColumnElement[str]:
    row = SuggestionRow
    undone = col(row.status).in_(_OPEN)
    # a fleet whose detector runs on raw features has no version, which suggestions name as 0
    stale = func.coalesce(col(BaselineVersionRow.version), 0) != col(row.base_version)
    return case(
        (and_(undone, stale), SuggestionStatus.STALE.value),
        (and_(undone, col(row.expires) < now), SuggestionStatus.EXPIRED.value),
        else_=col(row.status),
    )


def _read(row: RowMapping) -> StandingSuggestion:
    decision, preview = row["decision"], row["preview"]
    return StandingSuggestion(
        suggestion=Suggestion.model_validate_json(row["body"]),
        status=SuggestionStatus(row["status"]),
        decision=None if decision is None else Decision.model_validate_json(decision),
        applied_version=row["applied_version"],
        preview=None if preview is None else Preview.model_validate_json(preview),
    )
