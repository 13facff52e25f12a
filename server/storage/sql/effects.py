"""The effect ledger: one entry for each applied suggestion, completed later."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update
from sqlmodel import col

from server.domain.suggestion import Effect
from server.errors import NotFound
from server.storage.tables import EffectRow

_NEAR = 200


def add(connection: Connection, effect: Effect) -> None:
    """Enter what a suggestion changed."""
    connection.execute(
        insert(EffectRow).values(
            tenant=effect.fleet.tenant,
            suggestion=effect.suggestion,
            fleet=effect.fleet.name,
            applied=effect.applied,
            body=effect.model_dump_json(),
        )
    )


def one(connection: Connection, tenant: str, suggestion_id: str) -> Effect | None:
    """The entry of one suggestion, if it was applied."""
    row = EffectRow
    wanted = select(col(row.body)).where(col(row.tenant) == tenant, col(row.suggestion) == suggestion_id)
    body = connection.execute(wanted).scalar_one_or_none()
    return None if body is None else Effect.model_validate_json(body)


def page(connection: Connection, tenant: str, *, fleet: str | None, limit: int, offset: int) -> Sequence[Effect]:
    """Entries of the tenant (or of one of its fleets), newest first."""
    row = EffectRow
    wanted = select(col(row.body)).where(col(row.tenant) == tenant)
    if fleet is not None:
        wanted = wanted.where(col(row.fleet) == fleet)
    wanted = wanted.order_by(col(row.applied).desc(), col(row.suggestion).desc()).limit(limit).offset(offset)
    return [Effect.model_validate_json(body) for body in connection.execute(wanted).scalars()]


def save(connection: Connection, effect: Effect) -> None:
    """Put the entry in place of the stored one, of which nothing that was known is forgotten.

    The caller's transaction holds the lock of the ledger. Raises `NotFound` with near matches.
    """
    row, tenant = EffectRow, effect.fleet.tenant
    stored = one(connection, tenant, effect.suggestion)
    if stored is None or stored.fleet != effect.fleet:
        ids = select(col(row.suggestion)).where(col(row.tenant) == tenant).order_by(col(row.applied).desc()).limit(_NEAR)
        raise NotFound("effect of suggestion", effect.suggestion, list(connection.execute(ids).scalars()))
    entry = update(EffectRow).where(col(row.tenant) == tenant, col(row.suggestion) == effect.suggestion)
    connection.execute(entry.values(body=_joined(stored, effect).model_dump_json()))


def _joined(stored: Effect, effect: Effect) -> Effect:
    # an entry read before a rollback was noted may be completed after it, and the other way round
    counted = stored if effect.alarms_after is None else effect
    return effect.model_copy(
        update={
            "undone_by": effect.undone_by or stored.undone_by,
            "alarms_after": counted.alarms_after,
            "removed": counted.removed,
            "added": counted.added,
        }
    )
