"""Removing telemetry by age, in two steps that one transaction takes.

Rows before the time are *retired*: they get `removed`, as if a later ingest had displaced them, so that new snapshots do not
see them and old ones still do. Retired rows that no needed snapshot sees are then *deleted*. Which rows that were is noted by
the snapshots that saw them, so that reading one of those is refused instead of answered from what is left.
"""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from server.domain.retention import PrunedTelemetry
from server.domain.telemetry import IngestReport
from server.errors import TelemetryPruned
from server.storage.telemetry.reading import Window, micros
from server.storage.telemetry.schema import FOREVER, FleetTables

_SOURCE = "(removed by age)"


@dataclass(frozen=True, slots=True)
class Pruning:
    """What one call is to do; `needed` are the sequences of snapshots that have to stay whole."""

    before: datetime
    needed: Collection[int]
    now: datetime

    def counted(self, tables: FleetTables, file_bytes: int) -> PrunedTelemetry:
        """What `run` would do, with `file_bytes` as the size of all rows of all fleets."""
        old = f"time < {micros(self.before)}"
        current, rows = tables.fetch(
            f"SELECT count(*) FILTER (removed = {FOREVER} AND {old}), count(*) FROM {tables.table('telemetry')}"
        )[0]
        removed = self._count(tables, f"{old} AND NOT ({self._seen(tables)})")
        waiting = self._count(tables, f"{old} AND ({self._seen(tables)})")
        return PrunedTelemetry(
            fleet=tables.fleet.name,
            before=self.before,
            retired=current,
            removed=removed,
            waiting=waiting,
            aside=self._aside(tables),
            bytes=file_bytes * removed // max(rows, 1),
        )

    def run(self, tables: FleetTables) -> None:
        """Retire and delete; the caller holds the transaction open around this."""
        old, telemetry, sequence = f"time < {micros(self.before)}", tables.table("telemetry"), tables.sequence() + 1
        retired = self._count(tables, f"removed = {FOREVER} AND {old}")
        gone = f"{old} AND NOT ({self._seen(tables)})"  # before the rows change: what is deleted is what was counted
        seen = self.now.astimezone(UTC).replace(tzinfo=None)
        if retired:
            self._note(tables, sequence, retired, seen)
            tables.connection.execute(f"UPDATE {telemetry} SET removed = {sequence} WHERE removed = {FOREVER} AND {old}")
        tables.connection.execute(f"""
            CREATE TABLE IF NOT EXISTS {tables.table("lost")}(added INTEGER, removed INTEGER, first BIGINT, last BIGINT,
                                                              "rows" BIGINT)""")
        tables.connection.execute(f"""
            INSERT INTO {tables.table("lost")}
            SELECT added, removed, min(time), max(time), count(*) FROM {telemetry} WHERE {gone} GROUP BY added, removed""")
        tables.connection.execute(f"DELETE FROM {telemetry} WHERE {gone}")
        tables.connection.execute(f"DELETE FROM {tables.table('kept_aside')} WHERE seen < ?", [self._bound])

    @property
    def _bound(self) -> datetime:
        return self.before.astimezone(UTC).replace(tzinfo=None)

    def _seen(self, tables: FleetTables) -> str:
        """The condition that a needed snapshot sees a row."""
        known = sorted({min(each, tables.sequence()) for each in self.needed})
        return " OR ".join(f"(added <= {each} AND removed > {each})" for each in known) or "false"

    def _note(self, tables: FleetTables, sequence: int, retired: int, seen: datetime) -> None:
        """An ingest of nothing, under whose number the rows were displaced; what is fitted on stays as it was."""
        report = IngestReport(rows_in=0, rows_kept=0).model_dump_json()
        ingests = tables.table("ingests")
        last = f"(SELECT fit_split FROM {ingests} WHERE sequence = {sequence - 1})"
        tables.connection.execute(f"INSERT INTO {ingests} SELECT ?, ?, ?, {last}, 0, ?", [sequence, _SOURCE, seen, report])
        tables.connection.execute(f'CREATE TABLE IF NOT EXISTS {tables.table("retired")}(sequence INTEGER, "rows" BIGINT)')
        tables.connection.execute(f"INSERT INTO {tables.table('retired')} VALUES (?, ?)", [sequence, retired])

    def _aside(self, tables: FleetTables) -> int:
        query = f"SELECT count(*) FROM {tables.table('kept_aside')} WHERE seen < ?"
        return int(tables.fetch(query, [self._bound])[0][0])

    def _count(self, tables: FleetTables, where: str) -> int:
        return int(tables.fetch(f"SELECT count(*) FROM {tables.table('telemetry')} WHERE {where}")[0][0])


def require_whole(tables: FleetTables, window: Window) -> None:
    """Return if no row of the window was deleted. Raises `TelemetryPruned` otherwise."""
    rows = lost_rows(tables, window)
    if rows:
        raise TelemetryPruned(
            f"{rows:,} rows that this run reads were removed by age (`anomalyst prune`). "
            "Ask a newer run of the fleet, start a new one, or restore a backup into a home of its own."
        )


def lost_rows(tables: FleetTables, window: Window) -> int:
    """How many rows of the window were deleted, or a few more where it ends in the midst of them."""
    if not tables.has("lost"):
        return 0
    bounds = [f"last >= {micros(window.start)}"] if window.start else []
    bounds += [f"first <= {micros(window.end)}"] if window.end else []
    where = " AND ".join([f"added <= {window.sequence}", f"removed > {window.sequence}", *bounds])
    return int(tables.fetch(f'SELECT coalesce(sum("rows"), 0) FROM {tables.table("lost")} WHERE {where}')[0][0])


def retired(tables: FleetTables) -> int:
    """Rows that were removed by age from what new snapshots see."""
    if not tables.has("retired"):
        return 0
    return int(tables.fetch(f'SELECT coalesce(sum("rows"), 0) FROM {tables.table("retired")}')[0][0])
