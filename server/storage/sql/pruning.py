"""Old runs: which of them something needs, and how they go, whole or not at all."""

import json
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, delete, func, select
from sqlmodel import SQLModel, col

from server.domain.audit import AuditEntry
from server.domain.run import Run, Stage
from server.domain.suggestion import Effect, Suggestion, SuggestionStatus
from server.domain.telemetry import Fleet
from server.storage.sql import audit, detectors, runs
from server.storage.sql.baselines import one as baseline_version
from server.storage.sql.database import Database
from server.storage.tables import (
    AuditRow,
    BaselineRow,
    BaselineVersionRow,
    EffectRow,
    RunRow,
    ScoredSetRow,
    SuggestionRow,
)

REMOVED = "prune_run"
_OPEN = (SuggestionStatus.PENDING, SuggestionStatus.APPROVED)


class SqlRetention:
    """`RetentionRecords` in the database of `SqlRecords`; what each method promises stands in `server.storage.retention`."""

    def __init__(self, database: Database) -> None:
        """Use a database that is at the newest schema; whoever opened it closes it."""
        self._database = database

    def fleets(self, tenant: str) -> Sequence[Fleet]:
        """All fleets of the tenant that have a run, by name."""
        wanted = select(col(RunRow.fleet)).where(col(RunRow.tenant) == tenant).distinct().order_by(col(RunRow.fleet))
        with self._database.reading() as connection:
            return [Fleet(tenant=tenant, name=name) for name in connection.execute(wanted).scalars()]

    def needed(self, fleet: Fleet) -> Mapping[str, str]:
        """Runs that something still stands on, each with what that is."""
        with self._database.reading() as connection:
            return dict(_needed(connection, fleet))

    def anomalies_of(self, tenant: str, runs: Sequence[str]) -> Mapping[str, int]:
        """Stored anomalies of each of the runs, in all of its scored sets."""
        row = ScoredSetRow
        wanted = select(col(row.run), func.sum(col(row.anomalies))).where(col(row.tenant) == tenant, col(row.run).in_(runs))
        with self._database.reading() as connection:
            return {run: int(count) for run, count in connection.execute(wanted.group_by(col(row.run)))}

    def remove_runs(self, runs: Sequence[tuple[Run, AuditEntry]]) -> Sequence[str]:
        """Ids of the runs that were removed: those still as given that nothing needs."""
        if not runs:
            return []
        fleet = runs[0][0].fleet
        locks = [f"{what} {fleet.tenant}" for what in ("audit", "baselines", "run", "scored")]
        with self._database.writing(*locks) as connection:
            needed = dict(_needed(connection, fleet))
            going = [(run, entry) for run, entry in runs if run.id not in needed and _removed(connection, run)]
            _remove_statistics(connection, fleet)
            for _, entry in going:
                audit.append(connection, entry)
            return [run.id for run, _ in going]

    def removed_runs(self, tenant: str) -> frozenset[str]:
        """Ids of runs that were removed and that no tenant has now."""
        there = select(col(RunRow.id))
        gone = select(col(AuditRow.subject)).where(col(AuditRow.tenant) == tenant, col(AuditRow.action) == REMOVED)
        with self._database.reading() as connection:
            return frozenset(connection.execute(gone.where(col(AuditRow.subject).not_in(there))).scalars())


def _needed(connection: Connection, fleet: Fleet) -> Iterator[tuple[str, str]]:
    """The strongest reason of a run comes last."""
    detector, in_force = detectors.one(connection, fleet, None), baseline_version(connection, fleet, None)
    if detector is not None:
        yield detector.run, "it made the detector in force"
    if in_force is not None:
        yield in_force.run, "it made the baseline version in force"
    same = (col(EffectRow.tenant) == fleet.tenant, col(EffectRow.fleet) == fleet.name)
    for body in connection.execute(select(col(EffectRow.body)).where(*same)).scalars():
        effect = Effect.model_validate_json(body)
        if effect.alarms_after is None:
            yield effect.run, f"what suggestion {effect.suggestion} changed is still to be counted on it"
    row = SuggestionRow
    opened = select(col(row.body)).where(
        col(row.tenant) == fleet.tenant, col(row.fleet) == fleet.name, col(row.status).in_(_OPEN)
    )
    for body in connection.execute(opened).scalars():
        suggestion = Suggestion.model_validate_json(body)
        if in_force is None or suggestion.base_version == in_force.version:
            yield suggestion.run, f"suggestion {suggestion.id} is open"
    bodies = runs.page(connection, fleet.tenant, fleet=fleet.name, limit=None)
    yield from _newest(bodies)


def _newest(newest_first: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """The newest run that shows anomalies, the newest that is finished, and all that are under way since."""
    shown = next((run for run in newest_first if run.done(Stage.PERSIST)), None)
    if shown is not None:
        yield shown.id, "its anomalies are those that are shown"
    for run in newest_first:
        if run.next_stage() is None:
            yield run.id, "it is the newest finished run"
            return
        yield run.id, "it is not finished, and there is no newer run that is"


def _removed(connection: Connection, run: Run) -> bool:
    """Whether the run was still as given, and is gone now."""
    same = (col(RunRow.tenant) == run.fleet.tenant, col(RunRow.id) == run.id, col(RunRow.revision) == run.revision)
    if connection.execute(select(col(RunRow.id)).where(*same)).first() is None:
        return False
    sets = select(col(ScoredSetRow.id)).where(col(ScoredSetRow.tenant) == run.fleet.tenant, col(ScoredSetRow.run) == run.id)
    for table in SQLModel.metadata.sorted_tables:
        if "scored_set" in table.c:
            connection.execute(delete(table).where(table.c.scored_set.in_(sets)))
    connection.execute(delete(ScoredSetRow).where(col(ScoredSetRow.id).in_(sets)))
    connection.execute(delete(RunRow).where(*same))
    return True


def _remove_statistics(connection: Connection, fleet: Fleet) -> None:
    """Of expired baseline versions whose run is gone, and on which no run that is left was walked."""
    left = runs.page(connection, fleet.tenant, fleet=fleet.name, limit=None)
    used = {record.digest for run in left if (record := run.done(Stage.BASELINES))}
    row, ids = BaselineVersionRow, {run.id for run in left}
    expired = select(col(row.id), col(row.digest), col(row.body)).where(
        col(row.tenant) == fleet.tenant, col(row.fleet) == fleet.name, col(row.expired).is_not(None)
    )
    gone = [
        each.id
        for each in connection.execute(expired).all()
        if each.digest not in used and json.loads(each.body)["run"] not in ids
    ]
    for key in gone:
        connection.execute(delete(BaselineRow).where(col(BaselineRow.version_id) == key))
