"""One ingest, in one transaction: stream the screened rows in, number the names, merge, note what happened."""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from server.connectors.base import Source
from server.domain.telemetry import IngestReport, Metric, Rejection
from server.errors import InvalidInput
from server.storage.base import Progress
from server.storage.telemetry.merge import Merge, Merged
from server.storage.telemetry.names import Kind, Names
from server.storage.telemetry.schema import FleetTables
from server.storage.telemetry.screening import Screen, known_metrics


@dataclass(frozen=True, slots=True)
class Ingest:
    """What one call of ingest was given."""

    source: Source
    catalogue: Sequence[Metric]
    fit_split: str | None
    now: datetime
    lateness: timedelta
    progress: Progress

    def run(self, tables: FleetTables, *, direct: bool) -> IngestReport | None:
        """Store the rows; the caller holds the transaction open around this.

        With `direct`, rows go straight into the fleet's table, which costs half; None means that they turned out not to be
        sorted, new and free of faults, so the caller has to roll back and call again without.

        Raises:
            InvalidInput: the source has no rows or no metrics, or shares none with what the fleet already has.
        """
        if not tables.exist():
            tables.create()
        sequence = tables.sequence() + 1
        metrics = known_metrics(self.source.mapping.metrics, self.source.metrics, self.catalogue)
        self._refuse_strangers(tables, metrics)
        new_metrics = tables.add_metrics(list(metrics.values()), sequence)
        tables.add_cohort_columns(self.source.mapping.cohort, sequence)
        screen = self._screen(tables, metrics)
        merge = Merge(tables, sequence, self.source.name, self.now, self.lateness)
        self._stream(tables, screen, merge.append if direct else merge.stage, direct=direct)
        if not screen.rows:
            raise InvalidInput(f"{self.source.name}: there are no rows. Give a source that has some.")
        if direct and not _appendable(screen):
            return None
        new_devices = _number_names(tables, screen.names, sequence)
        merged = merge.count_appended() if direct else merge.run(in_order=screen.in_order)
        report = _report(screen, merged, new_devices, new_metrics)
        self._note(tables, sequence, merged, report)
        return report

    def _refuse_strangers(self, tables: FleetTables, metrics: dict[str, Metric]) -> None:
        if not metrics:
            raise InvalidInput(f"{self.source.name}: no column is a metric. Name the numeric columns to watch with metrics=.")
        known = tables.metrics()
        if known and not known.keys() & metrics.keys():
            raise InvalidInput(
                f"{self.source.name}: its metrics {_few(metrics)} share none with fleet {tables.fleet.name}, "
                f"which has {_few(known)}. Ingest it into a fleet of its own."
            )

    def _screen(self, tables: FleetTables, metrics: dict[str, Metric]) -> Screen:
        stored = tables.metrics()
        columns = {name: stored[name][0] for name in metrics}
        names = tables.names()
        last = np.full(len(names[Kind.DEVICE]), np.iinfo(np.int64).min)
        for device, time in tables.fetch(f"SELECT device, max(time) FROM {tables.table('telemetry')} GROUP BY device"):
            last[device] = time
        return Screen(self.source.mapping, metrics, columns, Names(names), self.now, last)

    def _stream(self, tables: FleetTables, screen: Screen, store: Callable[[], None], *, direct: bool) -> None:
        feed = _Feed(self, screen, direct=direct)
        tables.connection.register("incoming", pa.RecordBatchReader.from_batches(screen.schema(), iter(feed)))
        try:
            store()
        except duckdb.Error as error:
            raise feed.failure or error from error
        tables.connection.unregister("incoming")

    def _note(self, tables: FleetTables, sequence: int, merged: Merged, report: IngestReport) -> None:
        seen = self.now.astimezone(UTC).replace(tzinfo=None)
        values = [sequence, self.source.name, seen, self.fit_split, merged.displaced, report.model_dump_json()]
        tables.connection.execute(f"INSERT INTO {tables.table('ingests')} VALUES (?, ?, ?, ?, ?, ?)", values)
        changes = [change.model_dump(mode="json") for change in self.source.changes()]
        if changes:
            add_changes(tables, changes)


@dataclass
class _Feed:
    """Screened batches for DuckDB, which would wrap what the source raises in an error of its own: `failure` keeps it."""

    ingest: Ingest
    screen: Screen
    failure: Exception | None = None
    _: KW_ONLY
    direct: bool

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batch after batch; ends early where rows that were to be appended cannot be."""
        try:
            for batch in self.ingest.source.batches():
                screened = self.screen.batch(batch)
                if self.direct and not _appendable(self.screen):
                    return
                yield screened
                self.ingest.progress(self.screen.rows, self.ingest.source.rows)
        except Exception as error:
            self.failure = error
            raise


def _appendable(screen: Screen) -> bool:
    """Whether all rows so far are new, sorted by device id and time, and without fault."""
    devices = screen.names.fresh(Kind.DEVICE)
    return screen.appends and not screen.rejected and devices == sorted(devices)


def add_changes(tables: FleetTables, changes: Sequence[dict[str, object]]) -> None:
    """Store change-log rows, each once however often it comes."""
    tables.connection.register("incoming_changes", pa.Table.from_pylist([_flat(change) for change in changes]))
    tables.connection.execute(f"""
        INSERT INTO {tables.table("changes")}
        SELECT DISTINCT time::TIMESTAMPTZ::TIMESTAMP, kind, description, scope, before, after FROM incoming_changes
        EXCEPT SELECT * FROM {tables.table("changes")}""")
    tables.connection.unregister("incoming_changes")


def _flat(change: dict[str, object]) -> dict[str, object]:
    return {**change, "scope": json.dumps(change["scope"], sort_keys=True, ensure_ascii=False)}


def _number_names(tables: FleetTables, names: Names, sequence: int) -> int:
    """Store new names and make `recode`, the final code of each device: sorted by id, so that rows cluster in the order
    in which they are read. Returns how many devices are new."""
    final: dict[str, int] = {}
    for kind in Kind:
        fresh, start = names.fresh(kind), names.known(kind)
        stored = sorted(fresh) if kind is Kind.DEVICE else fresh
        if kind is Kind.DEVICE:
            final = {text: start + place for place, text in enumerate(stored)}
        if stored:
            rows = {"text": stored, "code": list(range(start, start + len(stored)))}
            tables.connection.register("fresh", pa.table(rows))
            insert = f"INSERT INTO {tables.table('names')} SELECT ?, code, text, ? FROM fresh"
            tables.connection.execute(insert, [kind.value, sequence])
            tables.connection.unregister("fresh")
    devices, start = names.fresh(Kind.DEVICE), names.known(Kind.DEVICE)
    codes = [*range(start), *(final[text] for text in devices)]
    recode = pa.table({"provisional": pa.array(range(len(codes)), pa.int32()), "final": pa.array(codes, pa.int32())})
    tables.connection.register("codes", recode)
    tables.connection.execute("CREATE OR REPLACE TEMP TABLE recode AS SELECT * FROM codes")
    tables.connection.unregister("codes")
    return len(devices)


def _report(screen: Screen, merged: Merged, new_devices: int, new_metrics: tuple[str, ...]) -> IngestReport:
    rejected = {**screen.rejected, Rejection.DUPLICATE: merged.duplicates, Rejection.CONFLICT: merged.conflicts}
    return IngestReport(
        rows_in=screen.rows,
        rows_kept=merged.kept,
        rejected={reason: rejected[reason] for reason in Rejection if rejected.get(reason)},
        late=merged.late,
        out_of_order=merged.disordered,
        values_dropped=dict(sorted(screen.dropped.items())),
        new_devices=new_devices,
        new_metrics=new_metrics,
    )


def _few(names: dict[str, Metric] | dict[str, tuple[str, Metric]]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
