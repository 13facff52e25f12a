"""Reading incidents: from the sets that are shown, or one by its id from the newest set that has it."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select
from sqlmodel import col

from server.domain.anomaly import Incident
from server.errors import NotFound
from server.storage.sql import scored
from server.storage.tables import IncidentRow, ScoredSetRow

_NEAR = 200


def page(
    connection: Connection, tenant: str, *, fleet: str | None, run: str | None, limit: int, offset: int
) -> tuple[Sequence[Incident], int]:
    """Shown incidents by severity times devices, the heaviest first, and how many there are in all."""
    sets = scored.shown(connection, tenant, fleet=fleet, run=run)
    where = col(IncidentRow.scored_set).in_(sets)
    total = connection.execute(select(func.count()).select_from(IncidentRow).where(where)).scalar_one()
    heaviest_first = (col(IncidentRow.weight).desc(), col(IncidentRow.id).desc(), col(IncidentRow.scored_set).desc())
    wanted = select(col(IncidentRow.body)).where(where).order_by(*heaviest_first).limit(limit).offset(offset)
    return [Incident.model_validate_json(body) for body in connection.execute(wanted).scalars()], total


def one(connection: Connection, tenant: str, incident_id: str) -> Incident:
    """The incident as the newest set has it that holds it. Raises `NotFound` with near matches among those shown."""
    row = ScoredSetRow
    body = connection.execute(
        select(col(IncidentRow.body))
        .join(ScoredSetRow, col(row.id) == col(IncidentRow.scored_set))
        .where(col(row.tenant) == tenant, col(IncidentRow.tenant) == tenant, col(IncidentRow.id) == incident_id)
        .order_by(col(row.created).desc(), col(row.run).desc(), col(row.shown).desc())
        .limit(1)
    ).scalar_one_or_none()
    if body is None:
        sets = scored.shown(connection, tenant, fleet=None, run=None)
        near = select(col(IncidentRow.id)).where(col(IncidentRow.scored_set).in_(sets)).limit(_NEAR)
        raise NotFound("incident", incident_id, list(connection.execute(near).scalars()))
    return Incident.model_validate_json(body)
