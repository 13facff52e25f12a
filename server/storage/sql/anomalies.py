"""Reading anomalies: from the sets that are shown, or one by its id from the newest set that has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select
from sqlmodel import col

from server.domain.anomaly import Anomaly, AnomalyFilter, Contribution
from server.domain.telemetry import Fleet
from server.errors import NotFound
from server.storage.moments import microseconds, moment
from server.storage.sql import blocks, scored
from server.storage.tables import AnomalyRow, ScoredSetRow

_CONTRIBUTIONS = TypeAdapter(tuple[Contribution, ...])
_COHORT = TypeAdapter(tuple[str, ...])
_COLUMNS = tuple(
    column for column in AnomalyRow.metadata.tables["anomaly"].columns if column.name not in {"tenant", "top_metric"}
)
_NEAR = 50
_LAST_SIGN = "\U0010ffff"


def page(
    connection: Connection, tenant: str, wanted: AnomalyFilter, *, limit: int, offset: int
) -> tuple[Sequence[Anomaly], int]:
    """Shown anomalies that pass the filter, worst first, and how many there are in all."""
    sets = scored.shown(connection, tenant, fleet=wanted.fleet, run=wanted.run)
    if not sets:
        return [], 0
    narrowing = _narrowing(wanted)
    where = and_(_in(sets), *narrowing)
    if narrowing:
        total = connection.execute(select(func.count()).select_from(AnomalyRow).where(where)).scalar_one()
    else:
        total = sum(each.anomalies for each in sets.values())
    worst_first = (col(AnomalyRow.severity).desc(), col(AnomalyRow.id).desc(), col(AnomalyRow.scored_set).desc())
    wanted_rows = select(*_COLUMNS).where(where).order_by(*worst_first).limit(limit).offset(offset)
    found = connection.execute(wanted_rows).mappings().all()
    others = blocks.read(connection, found)
    return [
        _anomaly(row, other, sets[row["scored_set"]].fleet, sets[row["scored_set"]].run)
        for row, other in zip(found, others, strict=True)
    ], total


def one(connection: Connection, tenant: str, anomaly_id: str) -> Anomaly:
    """The anomaly as the newest set has it that holds it, shown or not. Raises `NotFound` with near matches."""
    row = ScoredSetRow
    found = connection.execute(
        select(*_COLUMNS, col(row.fleet).label("fleet_name"), col(row.run).label("run_id"))
        .join(ScoredSetRow, col(row.id) == col(AnomalyRow.scored_set))
        .where(col(row.tenant) == tenant, col(AnomalyRow.tenant) == tenant, col(AnomalyRow.id) == anomaly_id)
        .order_by(col(row.created).desc(), col(row.run).desc(), col(row.shown).desc())
        .limit(1)
    )
    known = found.mappings().one_or_none()
    if known is None:
        raise NotFound("anomaly", anomaly_id, _near(connection, tenant, anomaly_id))
    (other,) = blocks.read(connection, [known])
    return _anomaly(known, other, Fleet(tenant=tenant, name=known["fleet_name"]), known["run_id"])


def _in(sets: Mapping[int, scored.ScoredSet]) -> ColumnElement[bool]:
    # one set is the usual case, and only an equality lets the index on severity give the order
    return col(AnomalyRow.scored_set) == next(iter(sets)) if len(sets) == 1 else col(AnomalyRow.scored_set).in_(sets)


def _narrowing(wanted: AnomalyFilter) -> list[ColumnElement[bool]]:
    row = AnomalyRow
    exact = ((col(row.device), wanted.device), (col(row.incident), wanted.incident), (col(row.top_metric), wanted.metric))
    found = [column == value for column, value in exact if value is not None]
    if wanted.min_severity > 0:
        found.append(col(row.severity) >= wanted.min_severity)
    if wanted.start is not None:
        found.append(col(row.time) >= microseconds(wanted.start))
    if wanted.end is not None:
        found.append(col(row.time) <= microseconds(wanted.end))
    return found


def _anomaly(row: RowMapping, other: Mapping[str, Any], fleet: Fleet, run: str) -> Anomaly:
    searched = {name: row[name] for name in Anomaly.model_fields if name in row}
    return Anomaly.model_validate(
        searched
        | dict(other)
        | {
            "fleet": fleet,
            "run": run,
            "time": moment(row["time"]),
            "cohort": _COHORT.validate_json(other["cohort"]),
            "contributions": _CONTRIBUTIONS.validate_json(other["contributions"]),
        }
    )


def _near(connection: Connection, tenant: str, anomaly_id: str) -> list[str]:
    sets = scored.shown(connection, tenant, fleet=None, run=None)
    start = anomaly_id[:4]
    near = select(col(AnomalyRow.id)).where(
        col(AnomalyRow.scored_set).in_(sets), col(AnomalyRow.id) >= start, col(AnomalyRow.id) < start + _LAST_SIGN
    )
    return list(connection.execute(near.limit(_NEAR)).scalars())
