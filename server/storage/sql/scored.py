"""Scored sets: each whole or absent, kept for good; the newest of a fleet's newest run is what is shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select, update
from sqlmodel import col

from server.domain.anomaly import Incident
from server.domain.run import Run
from server.domain.telemetry import Fleet
from server.errors import InvalidInput
from server.storage.sql import runs
from server.storage.tables import IncidentRow, ScoredSetRow

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ScoredSet:
    """A stored set: its key, whose it is and how many anomalies it holds."""

    id: int
    fleet: Fleet
    run: str
    anomalies: int


def persist(
    connection: Connection,
    run: Run,
    digest: str,
    anomalies: "pa.Table | Iterable[pa.RecordBatch]",
    incidents: Sequence[Incident],
) -> int:
    """Number of anomalies in the set, now stored, or, if the run had it, shown again. Raises `NotFound` for the run."""
    created = runs.one(connection, run.fleet.tenant, run.id).created
    same_run = (col(ScoredSetRow.tenant) == run.fleet.tenant, col(ScoredSetRow.run) == run.id)
    newest = connection.execute(select(func.max(col(ScoredSetRow.shown))).where(*same_run)).scalar_one() or 0
    known = connection.execute(
        update(ScoredSetRow)
        .where(*same_run, col(ScoredSetRow.digest) == digest)
        .values(shown=newest + 1)
        .returning(col(ScoredSetRow.anomalies))
    ).scalar_one_or_none()
    if known is not None:
        return known
    row = insert(ScoredSetRow).values(
        tenant=run.fleet.tenant, fleet=run.fleet.name, run=run.id, created=created, digest=digest, shown=newest + 1, anomalies=0
    )
    set_id = int(connection.execute(row.returning(col(ScoredSetRow.id))).scalar_one() or 0)
    from server.storage.sql.anomaly_rows import insert_anomalies  # noqa: PLC0415 - loads Arrow's kernels; reading needs none

    count = insert_anomalies(connection, set_id, run.fleet.tenant, anomalies)
    connection.execute(update(ScoredSetRow).where(col(ScoredSetRow.id) == set_id).values(anomalies=count))
    _add_incidents(connection, set_id, run, incidents)
    return count


def shown(connection: Connection, tenant: str, *, fleet: str | None, run: str | None) -> dict[int, ScoredSet]:
    """By key, the sets that are shown: one for each fleet that has any, or the newest of the named run."""
    row = ScoredSetRow
    age = (col(row.created).desc(), col(row.run).desc(), col(row.shown).desc())
    place = func.row_number().over(partition_by=col(row.fleet), order_by=age).label("place")
    ranked = select(col(row.id), col(row.fleet), col(row.run), col(row.anomalies), place).where(col(row.tenant) == tenant)
    for column, value in ((col(row.fleet), fleet), (col(row.run), run)):
        ranked = ranked.where(column == value) if value is not None else ranked
    newest = ranked.subquery()
    found = connection.execute(select(newest).where(newest.c.place == 1))
    return {each.id: ScoredSet(each.id, Fleet(tenant=tenant, name=each.fleet), each.run, each.anomalies) for each in found}


def _add_incidents(connection: Connection, set_id: int, run: Run, incidents: Sequence[Incident]) -> None:
    strangers = [incident.id for incident in incidents if incident.fleet != run.fleet or incident.run != run.id]
    if strangers:
        raise InvalidInput(f"incidents {', '.join(strangers[:3])} are not of run {run.id}. Persist them with their own run.")
    rows = [
        {
            "scored_set": set_id,
            "id": incident.id,
            "tenant": run.fleet.tenant,
            "weight": incident.severity * max(1, len(incident.devices)),
            "body": incident.model_dump_json(),
        }
        for incident in incidents
    ]
    if rows:
        connection.execute(insert(IncidentRow), rows)
