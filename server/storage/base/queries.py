"""Queries that strangers write: one table, in a database that reaches nothing else."""

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class QueryRows:
    """What a query gave: names and types of its columns, and at most as many rows as were asked for."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[object, ...]]
    truncated: bool


class LockedQueries(Protocol):
    """Foreign SQL over one table that is handed to it, in a database of its own that holds nothing else and reaches nothing."""

    def columns(self, sql: str) -> frozenset[str] | None:
        """The column names that the query reads, in lower case; None if it may read all (`*`).

        Raises:
            InvalidInput: it is not exactly one SELECT, reads another table, or calls what is not allowed.
        """
        ...

    def run(self, table: pa.Table, sql: str, *, limit: int) -> QueryRows:
        """The first `limit` rows of the query over `table`, which it calls `telemetry`.

        Raises:
            InvalidInput: as `columns` does, or it fails, takes too long or too much memory.
        """
        ...
