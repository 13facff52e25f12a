"""Tables of one fleet. Each fleet has a schema of its own; metric columns carry numbers, so no metric's name is ever SQL.

`telemetry` rows are never rewritten: a row that loses to a later arrival gets `removed`, the ingest that displaced it,
and a snapshot of ingest n reads the rows with `added <= n < removed`. So older snapshots keep reading what they read.
Only `server.storage.telemetry.pruning` deletes rows, and notes which snapshots it broke.
"""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from server.domain.telemetry import Fleet, Metric
from server.storage.telemetry.names import Kind

FOREVER = 2_147_483_647
KEYS = ("device", "time")
CODES = ("cohort", "store", "customer", "split")

_TABLES = """
    CREATE TABLE {schema}.ingests(sequence INTEGER, source VARCHAR, seen TIMESTAMP, fit_split VARCHAR, displaced BIGINT,
                                  report VARCHAR);
    CREATE TABLE {schema}.names(kind VARCHAR, code INTEGER, text VARCHAR, added INTEGER);
    CREATE TABLE {schema}.metrics(number INTEGER, name VARCHAR, spec VARCHAR, added INTEGER);
    CREATE TABLE {schema}.cohort_columns(name VARCHAR, added INTEGER);
    CREATE TABLE {schema}.kept_aside(reason VARCHAR, source VARCHAR, seen TIMESTAMP, "row" VARCHAR);
    CREATE TABLE {schema}.changes(time TIMESTAMP, kind VARCHAR, description VARCHAR, scope VARCHAR, before VARCHAR,
                                  after VARCHAR);
"""
_ROW = ", ".join(["device INTEGER, time BIGINT, arrival BIGINT", *(f"{name} INTEGER" for name in (*CODES, "added", "removed"))])


@dataclass(frozen=True, slots=True)
class FleetTables:
    """The tables of one fleet, through one connection."""

    connection: Any
    fleet: Fleet

    @property
    def schema(self) -> str:
        """The fleet's schema, quoted: tenant and name hold no slash, so no two fleets share one."""
        return f'"{self.fleet.tenant}/{self.fleet.name}"'

    def table(self, name: str) -> str:
        """The qualified name of one of the fleet's tables."""
        return f"{self.schema}.{name}"

    def exist(self) -> bool:
        """Whether anything was ever ingested into the fleet."""
        wanted = f"{self.fleet.tenant}/{self.fleet.name}"
        found = self.fetch(
            "SELECT 1 FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name = ?", [wanted]
        )
        return bool(found)

    def has(self, name: str) -> bool:
        """Whether the fleet has that table: some are made when first needed."""
        wanted = [f"{self.fleet.tenant}/{self.fleet.name}", name]
        return bool(
            self.fetch(
                "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
                wanted,
            )
        )

    def create(self) -> None:
        """Make the fleet's tables."""
        self.connection.execute(f"CREATE SCHEMA {self.schema}")
        self.connection.execute(_TABLES.format(schema=self.schema))

    def fetch(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of the query's answer."""
        return self.connection.execute(query, list(parameters)).fetchall()

    def sequence(self) -> int:
        """The number of the last ingest; 0 before the first."""
        return self.fetch(f"SELECT coalesce(max(sequence), 0) FROM {self.table('ingests')}")[0][0]

    def names(self, upto: int = FOREVER) -> dict[Kind, list[str]]:
        """All names by kind, in order of their codes."""
        rows = self.fetch(f"SELECT kind, text FROM {self.table('names')} WHERE added <= ? ORDER BY kind, code", [upto])
        known: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for kind, text in rows:
            known[Kind(kind)].append(text)
        return known

    def metrics(self, upto: int = FOREVER) -> dict[str, tuple[str, Metric]]:
        """Stored column and metric by the metric's name, in order of name."""
        query = f"SELECT number, spec FROM {self.table('metrics')} WHERE added <= ? ORDER BY name"
        found = [(f"m{number}", Metric.model_validate_json(spec)) for number, spec in self.fetch(query, [upto])]
        return {metric.name: (column, metric) for column, metric in sorted(found, key=lambda pair: pair[1].name)}

    def cohort_columns(self, upto: int = FOREVER) -> tuple[str, ...]:
        """Cohort columns seen so far, in order of name."""
        rows = self.fetch(f"SELECT DISTINCT name FROM {self.table('cohort_columns')} WHERE added <= ?", [upto])
        return tuple(sorted(name for (name,) in rows))

    def add_metrics(self, metrics: Sequence[Metric], sequence: int) -> tuple[str, ...]:
        """Make columns for the metrics that are new, and note what is now known of all of them. Returns the new names."""
        known = self.metrics()
        new = [metric for metric in metrics if metric.name not in known]
        numbered = list(enumerate(new, start=len(known)))
        if not known:  # a column at a time is slow for wide fleets: each one rewrites the table's entry in the catalogue
            columns = "".join(f", m{number} DOUBLE" for number, _ in numbered)
            self.connection.execute(f"CREATE OR REPLACE TABLE {self.table('telemetry')}({_ROW}{columns})")
        for number, _ in numbered if known else ():
            self.connection.execute(f"ALTER TABLE {self.table('telemetry')} ADD COLUMN m{number} DOUBLE DEFAULT 'nan'::DOUBLE")
        if new:
            specs = [{"n": n, "name": metric.name, "spec": metric.model_dump_json()} for n, metric in numbered]
            self.connection.register("specs", pa.Table.from_pylist(specs))
            self.connection.execute(f"INSERT INTO {self.table('metrics')} SELECT n, name, spec, ? FROM specs", [sequence])
            self.connection.unregister("specs")
        for metric in metrics:
            if metric.name in known and known[metric.name][1] != metric:
                update = f"UPDATE {self.table('metrics')} SET spec = ? WHERE name = ?"
                self.connection.execute(update, [metric.model_dump_json(), metric.name])
        return tuple(metric.name for metric in new)

    def add_cohort_columns(self, columns: Sequence[str], sequence: int) -> None:
        """Note cohort columns that are new."""
        known = self.cohort_columns()
        for name in columns:
            if name not in known:
                self.connection.execute(f"INSERT INTO {self.table('cohort_columns')} VALUES (?, ?)", [name, sequence])
