"""Staged rows into the fleet's table: one row a device and time, whichever order and however often rows came.

Rows of one device and time compete. Equal ones are duplicates. Of different ones the latest arrival wins, and among equal
arrivals (or none) the greater row, compared value by value in order of column name. Both are orders on the rows themselves,
so the winner among all rows ever seen is the same for every order of arrival. Losers are kept aside as conflicts.
"""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.domain.telemetry import Rejection
from server.storage.telemetry.names import Kind
from server.storage.telemetry.schema import CODES, FOREVER, KEYS, FleetTables


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of the staged rows that were not rejected."""

    kept: int
    late: int
    disordered: int
    duplicates: int = 0
    conflicts: int = 0
    displaced: int = 0


@dataclass(frozen=True, slots=True)
class Merge:
    """Merges the temporary table `staging` (codes still provisional, see `recode`) as ingest number `sequence`."""

    tables: FleetTables
    sequence: int
    source: str
    now: datetime
    lateness: timedelta

    def append(self) -> None:
        """Store the rows of `incoming` as they come: the caller knows that all are new and sorted."""
        columns = ", ".join([*KEYS, "arrival", *CODES, *self._staged_metrics("incoming")])
        self._store(f"SELECT {columns} FROM incoming")

    def count_appended(self) -> Merged:
        """What `append` stored."""
        return Merged(
            *self._count(f"SELECT *, false AS disordered FROM {self.tables.table('telemetry')} WHERE added = {self.sequence}")
        )

    def stage(self) -> None:
        """Put the rows of `incoming` aside. In the file, not in memory: a temporary table would count against the limit."""
        self.tables.connection.execute(f"CREATE OR REPLACE TABLE {self.tables.table('staging')} AS SELECT * FROM incoming")

    def run(self, *, in_order: bool) -> Merged:
        """Insert what is new, displace what lost; `in_order` says that staging is sorted by device and time without ties."""
        self._keep_rejected_aside()
        renumbered = self._run("SELECT count(*) FROM recode WHERE provisional <> final")[0]
        self._view_staged(renumbered=bool(renumbered))
        contested = self._find_contested(in_order=in_order)
        if contested:
            self._settle()
        kept, late, disordered = self._insert(contested=bool(contested), ordered=in_order and not renumbered and not contested)
        merged = self._displace(kept, late, disordered) if contested else Merged(kept, late, disordered)
        for table in (self.tables.table("staging"), "recode", *(("contested", "versions") if contested else ())):
            self.tables.connection.execute(f"DROP TABLE {table}")
        return merged

    @property
    def _metrics(self) -> list[str]:
        return [column for column, _ in self.tables.metrics().values()]

    def _staged_metrics(self, relation: str) -> list[str]:
        """The fleet's metric columns as the relation has them: not a number where it lacks one."""
        staged = {row[0] for row in self.tables.fetch(f"SELECT column_name FROM (DESCRIBE {relation})")}
        return [name if name in staged else f"'nan'::DOUBLE AS {name}" for name in self._metrics]

    def _run(self, query: str, *parameters: object) -> tuple[int, ...]:
        rows = self.tables.fetch(query, parameters)
        return rows[0] if rows else ()

    def _keep_rejected_aside(self) -> None:
        staging = self.tables.table("staging")
        aside = f'SELECT DISTINCT reason, ?, ?::TIMESTAMP, "row" FROM {staging} WHERE reason IS NOT NULL'
        self._keep_aside(aside, [self.source, self.now.astimezone(UTC).replace(tzinfo=None)])

    def _keep_aside(self, rows: str, parameters: list[object]) -> None:
        """Rows kept aside before, from the same source and for the same reason, are not kept twice."""
        aside = self.tables.table("kept_aside")
        self._run(
            f"""INSERT INTO {aside} SELECT * FROM ({rows}) AS candidate(reason, source, seen, "row")
            ANTI JOIN {aside} AS known USING (reason, source, "row")""",
            *parameters,
        )

    def _view_staged(self, *, renumbered: bool) -> None:
        """`staged`: the rows to store, under final device codes and with every metric column of the fleet."""
        staging = self.tables.table("staging")
        metrics = self._staged_metrics(staging)
        device = "recode.final" if renumbered else "staging.device"
        columns = [f"{device} AS device", "time", "arrival", *CODES, "disordered", *metrics]
        join = "JOIN recode ON recode.provisional = staging.device" if renumbered else ""
        kept = f"SELECT {', '.join(columns)} FROM {staging} AS staging {join} WHERE reason IS NULL"
        self.tables.connection.execute(f"CREATE OR REPLACE TEMP VIEW staged AS {kept}")

    def _find_contested(self, *, in_order: bool) -> int:
        """`contested`: each device and time for which there is more than one row. Returns how many there are."""
        telemetry = self.tables.table("telemetry")
        stored = f"(SELECT device, time FROM {telemetry} WHERE removed = {FOREVER})"
        parts = [f"SELECT device, time FROM staged SEMI JOIN {stored} USING (device, time)"]
        if not in_order:
            parts.append("SELECT device, time FROM staged GROUP BY device, time HAVING count(*) > 1")
        self.tables.connection.execute(f"CREATE OR REPLACE TEMP TABLE contested AS {' UNION '.join(parts)}")
        count = self._run("SELECT count(*) FROM contested")[0]
        if not count:
            self.tables.connection.execute("DROP TABLE contested")
        return count

    def _settle(self) -> None:
        """`versions`: the different rows of every contested device and time, the winner in place 1.

        `copies` counts the staged rows that say the same; `added` is set where the version is the stored row.
        """
        fields = ", ".join([*CODES, *self._metrics])
        shared = f"device, time, arrival, {fields}"
        order = ", ".join(
            f"{name} DESC NULLS LAST" for name in ("arrival", *(f"{kind}_text" for kind in CODES), *self._metrics)
        )
        texts = ", ".join(f"{kind}.text AS {kind}_text" for kind in CODES)
        joins = " ".join(self._join_text(kind) for kind in CODES)
        self.tables.connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE versions AS
            WITH contest AS (
                SELECT {shared}, disordered, NULL::INTEGER AS added FROM staged SEMI JOIN contested USING (device, time)
                UNION ALL BY NAME
                SELECT {shared}, false AS disordered, added FROM {self.tables.table("telemetry")}
                SEMI JOIN contested USING (device, time) WHERE removed = {FOREVER}),
            version AS (
                SELECT device, time, {fields}, max(arrival) AS arrival, max(added) AS added,
                       count(*) FILTER (added IS NULL) AS copies, bool_and(disordered) AS disordered
                FROM contest GROUP BY device, time, {fields})
            SELECT version.*, {texts}, row_number() OVER (PARTITION BY device, time ORDER BY {order}) AS place
            FROM version {joins}""")

    def _join_text(self, kind: str) -> str:
        names = self.tables.table("names")
        return f"LEFT JOIN {names} AS {kind} ON {kind}.kind = '{kind}' AND {kind}.code = version.{kind}"

    def _insert(self, *, contested: bool, ordered: bool) -> tuple[int, ...]:
        """Store the new rows. Returns how many there are, how many of them late and how many out of order."""
        shared = ", ".join([*KEYS, "arrival", *CODES, *self._metrics])
        rows = f"SELECT {shared}, disordered FROM staged"
        if contested:
            rows += " ANTI JOIN contested USING (device, time)"
            rows += f" UNION ALL BY NAME SELECT {shared}, disordered FROM versions WHERE place = 1 AND added IS NULL"
        counted = self._count(rows)
        self._store(f"SELECT {shared} FROM ({rows}) {'' if ordered else 'ORDER BY device, time'}")
        return counted

    def _count(self, rows: str) -> tuple[int, ...]:
        bound = self.lateness // timedelta(microseconds=1)
        return self._run(f"""
            SELECT count(*), count(*) FILTER (arrival - time > {bound}), count(*) FILTER (disordered)
            FROM (SELECT device, time, arrival, disordered FROM ({rows}))""")

    def _store(self, rows: str) -> None:
        marked = f"SELECT *, {self.sequence} AS added, {FOREVER} AS removed FROM ({rows})"
        self.tables.connection.execute(f"INSERT INTO {self.tables.table('telemetry')} BY NAME {marked}")

    def _displace(self, kept: int, late: int, disordered: int) -> Merged:
        telemetry = self.tables.table("telemetry")
        match = f"telemetry.device = v.device AND telemetry.time = v.time AND telemetry.removed = {FOREVER}"
        stored = "(SELECT * FROM versions WHERE added IS NOT NULL AND {}) AS v"
        self._run(
            f"UPDATE {telemetry} AS telemetry SET removed = {self.sequence} FROM {stored.format('place > 1')}"
            f" WHERE {match} AND telemetry.added = v.added"
        )
        self._run(
            f"UPDATE {telemetry} AS telemetry SET arrival = v.arrival FROM {stored.format('place = 1')}"
            f" WHERE {match} AND telemetry.arrival IS DISTINCT FROM v.arrival"
        )
        self._keep_losers_aside()
        duplicates, conflicts, displaced = self._run("""
            SELECT coalesce(sum(copies), 0)::BIGINT - count(*) FILTER (added IS NULL),
                   count(*) FILTER (place > 1 AND added IS NULL), count(*) FILTER (place > 1 AND added IS NOT NULL)
            FROM versions""")
        return Merged(kept, late, disordered, duplicates, conflicts, displaced)

    def _keep_losers_aside(self) -> None:
        cells = ", ".join(self._json_cells())
        source = f"coalesce((SELECT source FROM {self.tables.table('ingests')} AS i WHERE i.sequence = versions.added), ?)"
        aside = f"""SELECT '{Rejection.CONFLICT.value}', {source}, ?::TIMESTAMP, json_object({cells})::VARCHAR FROM versions
            JOIN {self.tables.table("names")} AS named ON named.kind = '{Kind.DEVICE.value}' AND named.code = versions.device
            WHERE place > 1"""
        self._keep_aside(aside, [self.source, self.now.astimezone(UTC).replace(tzinfo=None)])

    def _json_cells(self) -> Iterator[str]:
        yield "'device', named.text, 'time', strftime(make_timestamp(versions.time), '%Y-%m-%dT%H:%M:%S.%fZ')"
        yield "'arrival', strftime(make_timestamp(versions.arrival), '%Y-%m-%dT%H:%M:%S.%fZ')"
        yield from (f"'{kind}', {kind}_text" for kind in CODES)
        for name, (column, _) in self.tables.metrics().items():
            quoted = name.replace("'", "''")
            yield f"'{quoted}', CASE WHEN NOT isnan({column}) THEN {column} END"
