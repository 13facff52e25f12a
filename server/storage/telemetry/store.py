"""The telemetry store on one DuckDB file, held by one process."""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

import json
import secrets
import shutil
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any, cast

import duckdb
import pyarrow as pa

from server.connectors.base import Source
from server.domain.retention import PrunedTelemetry
from server.domain.telemetry import Change, Fleet, FleetHealth, IngestReport, Members, Metric, Rejection, Snapshot
from server.errors import NotFound, StoreBusy, Unavailable
from server.storage.base import Progress, RejectedRow
from server.storage.telemetry.growth import first_differences
from server.storage.telemetry.health import extent, fleet_health
from server.storage.telemetry.ingest import Ingest
from server.storage.telemetry.pruning import Pruning, lost_rows, require_whole
from server.storage.telemetry.reading import Reader, Window
from server.storage.telemetry.schema import FleetTables
from server.storage.telemetry.snapshots import census, fit_split, take_snapshot

_HEAD = ("device", "cohort", "store", "customer", "time", "reference")
_CHUNK_ROWS = 500_000
_SETTLING_SECONDS = 60.0


class DuckDBTelemetryStore:
    """`TelemetryStore` on the file at `path`, made if absent.

    Rows of one device and time compete by the rule of `server.storage.telemetry.merge`. Missing cohort values are settled
    when rows are read, by the rule of `server.storage.telemetry.cohorts`. A row is late when it arrived more than
    `lateness` after its event. `memory_limit` and `threads` bound DuckDB; what does not fit goes to a folder beside the file.

    Raises:
        StoreBusy: another process has the file open.
        Unavailable: the file cannot be opened or written.
    """

    def __init__(
        self, path: Path, *, memory_limit: str = "1GB", threads: int = 2, lateness: timedelta = timedelta(hours=4)
    ) -> None:
        self._path, self._lateness = path, lateness
        self._options = {"memory_limit": memory_limit, "threads": str(threads)}
        self._copies = path.absolute().with_name(f"{path.stem}.copies")
        self._writing, self._copying = Lock(), Lock()
        self._connection = self._open()
        self._writes = 0

    @property
    def writes(self) -> int:
        """How many writes of rows have ended since the store was opened: while it stays the same, so do the rows."""
        return self._writes

    def ingest(
        self,
        fleet: Fleet,
        source: Source,
        catalogue: Sequence[Metric],
        *,
        fit_split: str | None,
        now: datetime,
        progress: Progress,
    ) -> IngestReport:
        """Store the source's rows in one transaction; the same source again changes nothing that is read.

        Raises:
            InvalidInput: the source has no rows or no metrics, or shares no metric with what the fleet already has.
            Unavailable: the disk is full; nothing of this ingest is stored.
        """
        ingest = Ingest(source, catalogue, fit_split, now, self._lateness, progress)
        with self._alone(), self._cursor() as cursor:
            tables = FleetTables(cursor, fleet)
            with self._one_thread(cursor):
                report = _attempt(cursor, ingest, tables, direct=True)
            report = report or _attempt(cursor, ingest, tables, direct=False)
            self._give_back(cursor)
        return cast("IngestReport", report)

    def snapshot(self, fleet: Fleet, *, start: datetime | None = None, end: datetime | None = None) -> Snapshot:
        """Freeze what is stored now, or only its event times in [start, end]. Raises `NotFound` if there are no such rows."""
        with self._cursor() as cursor:
            tables = self._existing(cursor, fleet)
            return take_snapshot(tables, fleet, Window(tables.sequence(), start, end), rows=_CHUNK_ROWS)

    def members(self, snapshot: Snapshot) -> Members:
        """The names behind the codes in this snapshot's blocks."""
        with self._cursor() as cursor:
            return self._reader(cursor, snapshot).members()

    def differences(self, before: Snapshot, after: Snapshot) -> Mapping[str, int] | None:
        """First time (microseconds since 1970 UTC) from which each device's rows differ; None if that cannot be told."""
        with self._cursor() as cursor:
            tables = self._existing(cursor, after.fleet)
            whole = not (lost_rows(tables, _window(before)) or lost_rows(tables, _window(after)))
            return first_differences(tables, before, after) if whole else None

    def blocks(
        self, snapshot: Snapshot, *, rows: int, devices: Sequence[int] | None = None, since: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Whole devices, sorted by device and time, about `rows` rows a block (a larger device is one block).

        Columns: device, cohort, store, customer (int32 codes, -1 for none), time (int64, microseconds since 1970 UTC),
        reference, then one float64 column a metric in the snapshot's order, NaN where missing. `reference` is true where the
        split column says what the last ingest gave as fit_split, and everywhere if no row says so or none was given. `since`
        holds a time by device code: a block then begins at the earliest of its devices', and may be empty.
        """
        with self._cursor() as cursor:
            reader = self._reader(cursor, snapshot)
            tables = FleetTables(cursor, snapshot.fleet)
            stored = {name: column for name, (column, _) in tables.metrics(snapshot.sequence).items()}
            columns = [stored[metric.name] for metric in snapshot.metrics]
            wanted = fit_split(tables, snapshot.sequence)
            names = [*_HEAD, *(metric.name for metric in snapshot.metrics)]
            for arrays in reader.blocks(rows, columns, devices, wanted, since):
                yield pa.RecordBatch.from_arrays(arrays, names=names)
            self._give_back(cursor)
            require_whole(tables, _window(snapshot))  # each block is a query of its own, and rows may have gone between two

    def rejected(self, fleet: Fleet, *, limit: int) -> Sequence[RejectedRow]:
        """Rows kept aside, newest first."""
        with self._cursor() as cursor:
            tables = self._existing(cursor, fleet)
            query = f'SELECT reason, source, seen, "row" FROM {tables.table("kept_aside")} ORDER BY seen DESC, reason, "row"'
            rows = tables.fetch(f"{query} LIMIT ?", [limit])
        return [RejectedRow(Rejection(reason), source, seen.replace(tzinfo=UTC), row) for reason, source, seen, row in rows]

    def changes(self, fleet: Fleet, *, start: datetime, end: datetime) -> Sequence[Change]:
        """Change-log rows in [start, end], oldest first."""
        with self._cursor() as cursor:
            tables = self._existing(cursor, fleet)
            query = f"SELECT * FROM {tables.table('changes')} WHERE time BETWEEN ? AND ? ORDER BY ALL"
            rows = tables.fetch(query, [_zoneless(start), _zoneless(end)])
        return [
            Change(
                time=time.replace(tzinfo=UTC), kind=kind, description=text, scope=json.loads(scope), before=before, after=after
            )
            for time, kind, text, scope, before, after in rows
        ]

    def extent(self, fleet: Fleet) -> tuple[datetime | None, datetime | None]:
        """First and last event time stored now. Raises `NotFound` for a fleet never ingested."""
        with self._cursor() as cursor:
            return extent(self._existing(cursor, fleet))

    def health(self, fleet: Fleet) -> FleetHealth:
        """What is stored of the fleet now, and what was not. Raises `NotFound` for a fleet never ingested."""
        with self._cursor() as cursor:
            return fleet_health(self._existing(cursor, fleet), self._lateness)

    def prune(
        self, fleet: Fleet, *, before: datetime, needed: Collection[int], now: datetime, dry_run: bool
    ) -> PrunedTelemetry:
        """Retire rows before a time, and delete those that no snapshot with a needed sequence sees; all of it or nothing.

        Raises:
            Unavailable: the disk is full; nothing was changed.
        """
        pruning = Pruning(before, needed, now)
        with self._alone(), self._cursor() as cursor:
            tables = FleetTables(cursor, fleet)
            if not tables.exist():
                return PrunedTelemetry(fleet=fleet.name, before=before)
            found = pruning.counted(tables, self._path.stat().st_size if self._path.exists() else 0)
            if not dry_run and (found.retired or found.removed or found.aside):
                cursor.begin()
                try:
                    pruning.run(tables)
                    cursor.commit()
                except BaseException:
                    _roll_back(cursor)
                    raise
                with suppress(duckdb.TransactionException):  # others read: the next checkpoint gives the space back
                    cursor.execute("CHECKPOINT")
        return found

    @contextmanager
    def copied(self) -> Generator[Path]:
        """A file with one state of the whole store, removed afterwards; reading and writing go on meanwhile.

        Raises:
            Unavailable: the disk is full, or another copy is being made.
        """
        if not self._copying.acquire(blocking=False):
            raise Unavailable("the telemetry store is being copied already. Wait for that copy.")
        # a copy that is detached lives on while transactions of others do: each has a name and a folder of its own
        name = f"copy_{secrets.token_hex(4)}"
        path = self._copies / name / self._path.name
        try:
            shutil.rmtree(self._copies, ignore_errors=True)
            path.parent.mkdir(parents=True)
            with self._cursor() as cursor:
                own = cursor.execute("SELECT current_database()").fetchall()[0][0]
                cursor.execute(f"ATTACH {_quoted(path)} AS {name}")
                try:
                    cursor.execute(f'COPY FROM DATABASE "{own}" TO {name}')
                    _settle(cursor, name)
                finally:
                    cursor.execute(f"DETACH {name}")
            yield path
        finally:
            shutil.rmtree(self._copies, ignore_errors=True)
            self._copying.release()

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    @contextmanager
    def _alone(self) -> Generator[None]:
        """One writer at a time; whoever asks for `writes` after it has ended hears of it."""
        with self._writing:
            try:
                yield
            finally:
                self._writes += 1

    @contextmanager
    def _one_thread(self, cursor: Any) -> Generator[None]:
        """One thread for the whole store: rows that come batch by batch keep no second one busy, but it holds as many again."""
        cursor.execute("SET threads = 1")
        try:
            yield
        finally:
            with suppress(duckdb.FatalException):  # it is opened anew, with all its threads, and the first error says more
                cursor.execute(f"SET threads = {self._options['threads']}")

    def _give_back(self, cursor: Any) -> None:
        """Have DuckDB give freed memory back: it keeps over 100 MiB, for every thread its own, until its limit is set again."""
        with suppress(duckdb.OutOfMemoryException):  # others use all that there is
            cursor.execute(f"SET memory_limit = '{self._options['memory_limit']}'")

    def _reader(self, cursor: Any, snapshot: Snapshot) -> Reader:
        tables = self._existing(cursor, snapshot.fleet)
        window = _window(snapshot)
        require_whole(tables, window)
        return Reader(tables, window, census(tables, window))

    def _existing(self, cursor: Any, fleet: Fleet) -> FleetTables:
        tables = FleetTables(cursor, fleet)
        if not tables.exist():
            raise NotFound("telemetry in fleet", fleet.name)
        return tables

    def _open(self) -> Any:
        offline = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        try:
            connection = duckdb.connect(str(self._path), config={**offline, **self._options})
            connection.execute("SET TimeZone = 'UTC'")
            # the folder of copies is all that it may reach, and that can be said only before the rest is closed
            connection.execute(f"SET allowed_directories = [{_quoted(self._copies)}]")
            connection.execute("SET enable_external_access = false")
        except duckdb.IOException as error:
            if "lock" in str(error).lower():
                raise StoreBusy(
                    f"another process holds {self._path.name}. Stop it, or call the server that runs it."
                ) from error
            raise Unavailable(f"{self._path.name} cannot be opened: {error}") from error
        return connection

    @contextmanager
    def _cursor(self) -> Generator[Any]:
        """A connection of the caller's own; a database that a full disk has put out of action is opened anew."""
        try:
            with closing(self._connection.cursor()) as cursor:
                yield cursor
        except duckdb.FatalException as error:
            self._connection.close()
            self._connection = self._open()
            raise Unavailable(f"the telemetry store could not write: {error}") from error
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise Unavailable(f"the telemetry store is out of space: {error}. Free some, then call again.") from error


def _window(snapshot: Snapshot) -> Window:
    return Window(snapshot.sequence, snapshot.start, snapshot.end)


def _attempt(cursor: Any, ingest: Ingest, tables: FleetTables, *, direct: bool) -> IngestReport | None:
    """The report of the ingest, committed whole; or None, with nothing stored, if it could not be done the direct way."""
    cursor.begin()
    try:
        report = ingest.run(tables, direct=direct)
        if report is not None:
            cursor.commit()
    except BaseException:
        _roll_back(cursor)
        raise
    if report is None:
        _roll_back(cursor)
    return report


def _settle(cursor: Any, copy: str) -> None:
    """Have the copy's file hold all of it; waits for transactions of other threads that know of the copy.

    Detached without, its rows may stay in a log beside the file. Raises `Unavailable` where others never leave off.
    """
    until = monotonic() + _SETTLING_SECONDS
    while True:
        try:
            cursor.execute(f"CHECKPOINT {copy}")
        except duckdb.TransactionException as error:
            if monotonic() > until:
                raise Unavailable("the telemetry store is read without a pause, so no copy can be made. Try again.") from error
            sleep(0.05)
        else:
            return


def _roll_back(cursor: Any) -> None:
    with suppress(duckdb.TransactionException, duckdb.FatalException):  # a commit that failed has ended the transaction
        cursor.rollback()


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _zoneless(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
