"""Removing what is old: runs with their anomalies and artifacts, then telemetry that no run needs any more.

Rows first, files after: a death between the two leaves files of runs that the audit trail says were removed, and the next
pruning takes them. Telemetry is last, in a transaction of its own: what the runs that are left need is known by then.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.connectors.base import Keeping
from server.domain.audit import AuditEntry
from server.domain.identity import Principal
from server.domain.retention import KeptRun, Pruned, PrunedRun, PrunedTelemetry, Retention
from server.domain.run import Run, Stage
from server.domain.telemetry import Fleet, Snapshot
from server.errors import InvalidInput
from server.storage.base import ArtifactStore, Records, TelemetryStore
from server.storage.retention import RetentionRecords


@dataclass(frozen=True, slots=True)
class Stores:
    """Where things are kept. Telemetry is opened when first needed: one process at a time can."""

    records: Records
    retention: RetentionRecords
    telemetry: Callable[[], TelemetryStore]
    artifacts: ArtifactStore
    uploads: Keeping


class Pruning:
    """Removes what a retention allows, and nothing that is needed."""

    def __init__(self, stores: Stores, snapshot_of: Callable[[Run], Snapshot], clock: Callable[[], datetime]) -> None:
        self._stores, self._snapshot_of, self._clock = stores, snapshot_of, clock

    def prune(self, who: Principal, retention: Retention, *, dry_run: bool, walking: Collection[str] = ()) -> Pruned:
        """What was removed of the caller's tenant; with `dry_run` what would be, and nothing is. Runs in `walking` stay.

        Raises:
            InvalidInput: the retention removes nothing.
            ArtifactDamaged: what a needed run reads cannot be told; its telemetry is left alone.
        """
        if not retention.removes_runs and retention.telemetry_older_than is None:
            raise InvalidInput(
                "no bound is given, nor set as ANOMALYST_RETENTION__...: nothing is to be removed. Say how many runs to keep "
                "(keep-runs), or what age runs (older-than) or telemetry (telemetry-older-than) may reach."
            )
        now, tenant = self._clock(), who.tenant
        fleets = self._stores.retention.fleets(tenant)
        runs: list[PrunedRun] = []
        kept: list[KeptRun] = []
        for fleet in fleets if retention.removes_runs else ():
            going, staying = self._chosen(fleet, retention, now, walking)
            kept += staying
            runs += self._removed(who, going, now, dry_run=dry_run)
        left_over = self._left_over(tenant, {each.run for each in runs}, dry_run=dry_run)
        gone = {each.run for each in runs}
        rows = [self._without_old_rows(fleet, retention, gone, now, dry_run=dry_run, walking=walking) for fleet in fleets]
        uploads, upload_bytes = self._stores.uploads.expire(now, tenant, dry_run=dry_run)
        done = Pruned(
            dry_run=dry_run,
            runs=tuple(runs),
            kept=tuple(kept),
            left_over=left_over,
            telemetry=tuple(filter(None, rows)),
            uploads=uploads,
            upload_bytes=upload_bytes,
        )
        if not dry_run and done.telemetry:
            told = {each.fleet: each.model_dump(mode="json") for each in done.telemetry}
            self._stores.records.append_audit(AuditEntry.of(who, "prune_telemetry", tenant, told, now))
        if not dry_run and uploads:
            sent = {"files": uploads, "bytes": upload_bytes}
            self._stores.records.append_audit(AuditEntry.of(who, "prune_uploads", tenant, sent, now))
        return done

    def _chosen(
        self, fleet: Fleet, retention: Retention, now: datetime, walking: Collection[str]
    ) -> tuple[list[Run], list[KeptRun]]:
        """Runs that go, and those that would if nothing needed them."""
        found = self._stores.records.runs(fleet.tenant, fleet=fleet.name, limit=None)
        beyond = found[retention.keep_runs or 0 :]
        age = retention.runs_older_than
        old = [run for run in beyond if age is None or run.created < now - age]
        needed = dict.fromkeys(walking, "it is being walked") | dict(self._stores.retention.needed(fleet))
        kept = [KeptRun(run=run.id, fleet=fleet.name, why=needed[run.id]) for run in old if run.id in needed]
        return [run for run in old if run.id not in needed], kept

    def _removed(self, who: Principal, going: Sequence[Run], now: datetime, *, dry_run: bool) -> list[PrunedRun]:
        count: Mapping[str, int] = self._stores.retention.anomalies_of(who.tenant, [run.id for run in going]) if going else {}
        told = {
            run.id: PrunedRun(
                run=run.id,
                fleet=run.fleet.name,
                created=run.created,
                anomalies=count.get(run.id, 0),
                bytes=self._stores.artifacts.size(run.id),
            )
            for run in going
        }
        if dry_run:
            return list(told.values())
        entries = [(run, AuditEntry.of(who, "prune_run", run.id, told[run.id].model_dump(mode="json"), now)) for run in going]
        removed = self._stores.retention.remove_runs(entries)
        for run in set(removed) & self._stores.retention.removed_runs(who.tenant):
            self._stores.artifacts.remove(run)
        return [told[run] for run in removed]

    def _left_over(self, tenant: str, now_removed: set[str], *, dry_run: bool) -> int:
        """Bytes of files whose runs went earlier, while nobody was left to remove the files."""
        sizes = {run: self._stores.artifacts.size(run) for run in self._stores.retention.removed_runs(tenant) - now_removed}
        for run in (run for run, size in sizes.items() if size and not dry_run):
            self._stores.artifacts.remove(run)
        return sum(sizes.values())

    def _without_old_rows(
        self,
        fleet: Fleet,
        retention: Retention,
        gone: set[str],
        now: datetime,
        *,
        dry_run: bool,
        walking: Collection[str],
    ) -> PrunedTelemetry | None:
        if retention.telemetry_older_than is None:
            return None
        needed = {*self._stores.retention.needed(fleet), *walking}
        left = self._stores.records.runs(fleet.tenant, fleet=fleet.name, limit=None)
        sequences = set(self._sequences(run for run in left if run.id in needed and run.id not in gone))
        return self._stores.telemetry().prune(
            fleet, before=now - retention.telemetry_older_than, needed=sequences, now=now, dry_run=dry_run
        )

    def _sequences(self, runs: Iterator[Run]) -> Iterator[int]:
        """Which snapshots the runs read. One that has not ingested yet reads none."""
        for run in runs:
            if run.done(Stage.INGEST):
                yield self._snapshot_of(run).sequence
