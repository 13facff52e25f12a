"""Reading anomalies: from the sets that are shown, or one by its id from the newest set that has it."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, func, select
from sqlmodel import col

from server.domain.anomaly import Anomaly, AnomalyFilter, Contribution
from server.domain.telemetry import Fleet
from server.errors import NotFound
from server.storage.moments import moment
from server.storage.sql import blocks, scored, search
from server.storage.tables import AnomalyIdRow, ScoredSetRow

_CONTRIBUTIONS = TypeAdapter(tuple[Contribution, ...])
_COHORT = TypeAdapter(tuple[str, ...])
_NEAR = 50


def page(
    connection: Connection, tenant: str, wanted: AnomalyFilter, *, limit: int, offset: int
) -> tuple[Sequence[Anomaly], int]:
    """Shown anomalies that pass the filter, worst first, and how many there are in all."""
    sets = scored.shown(connection, tenant, fleet=wanted.fleet, run=wanted.run)
    found, total = search.page(connection, sets, wanted, limit=limit, offset=offset)
    others = blocks.read(connection, [(each.set_id, each.place) for each in found])
    return [
        _anomaly(each, other, sets[each.set_id].fleet, sets[each.set_id].run) for each, other in zip(found, others, strict=True)
    ], total


def one(connection: Connection, tenant: str, anomaly_id: str) -> Anomaly:
    """The anomaly as the newest set has it that holds it, shown or not. Raises `NotFound` with near matches."""
    row, ids = ScoredSetRow, AnomalyIdRow
    begins = func.max(col(ids.first)).label("first")
    batches = (
        select(col(ids.scored_set), begins)
        .where(col(ids.tenant) == tenant, col(ids.first) <= anomaly_id)
        .group_by(col(ids.scored_set))
        .subquery()
    )
    candidates = (
        select(col(row.id), col(row.fleet), col(row.run), batches.c.first)
        .join(batches, batches.c.scored_set == col(row.id))
        .where(col(row.tenant) == tenant)
        .order_by(col(row.created).desc(), col(row.run).desc(), col(row.shown).desc())
    )
    for each in connection.execute(candidates).all():
        found = search.one(connection, each.id, each.first, anomaly_id)
        if found is not None:
            (other,) = blocks.read(connection, [(each.id, found.place)])
            return _anomaly(found, other, Fleet(tenant=tenant, name=each.fleet), each.run)
    raise NotFound("anomaly", anomaly_id, _near(connection, tenant, anomaly_id))


def _anomaly(found: search.Found, other: Mapping[str, Any], fleet: Fleet, run: str) -> Anomaly:
    searched = {name: value for name, value in found.searched().items() if name in Anomaly.model_fields}
    return Anomaly.model_validate(
        searched
        | dict(other)
        | {
            "fleet": fleet,
            "run": run,
            "time": moment(searched["time"]),
            "cohort": _COHORT.validate_json(other["cohort"]),
            "contributions": _CONTRIBUTIONS.validate_json(other["contributions"]),
        }
    )


def _near(connection: Connection, tenant: str, anomaly_id: str) -> list[str]:
    sets = scored.shown(connection, tenant, fleet=None, run=None)
    near = (each for set_id in sets for each in search.ids_from(connection, set_id, anomaly_id[:4], _NEAR))
    return list(islice(near, _NEAR))
