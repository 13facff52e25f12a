"""Foreign SQL on a database of its own: in memory, one table, no files, no settings, bounded in time and memory."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import duckdb
import pyarrow as pa

from server.errors import InvalidInput
from server.storage.base import QueryRows
from server.storage.telemetry.foreign_sql import SOURCE, columns_read

_LOCKED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "threads": "1",
}


class LockedDuckDB:
    """`LockedQueries` on DuckDB: a new database for every query, so that none can leave anything for another to find."""

    def __init__(self, *, seconds: float = 5.0, memory_limit: str = "256MB") -> None:
        self._seconds, self._memory_limit = seconds, memory_limit

    def columns(self, sql: str) -> frozenset[str] | None:
        """The column names that the query reads, in lower case; None if it may read all (`*`). Raises `InvalidInput`."""
        with self._database() as connection:
            return columns_read(connection, sql)

    def run(self, table: pa.Table, sql: str, *, limit: int) -> QueryRows:
        """The first `limit` rows of the query over `table`, which it calls `telemetry`. Raises `InvalidInput`."""
        with self._database() as connection:
            columns_read(connection, sql)
            connection.register(SOURCE, table)
            answer = self._in_time(connection, sql, limit + 1)
        types = tuple(str(field.type) for field in answer.schema)
        columns = [column.to_pylist() for column in answer.slice(0, limit).columns]
        rows = list(zip(*columns, strict=True)) if columns else []
        return QueryRows(tuple(answer.column_names), types, rows, truncated=answer.num_rows > limit)

    def _in_time(self, connection: Any, sql: str, rows: int) -> pa.Table:
        watch = Timer(self._seconds, connection.interrupt)
        watch.daemon = True
        watch.start()
        try:
            return connection.sql(sql).limit(rows).to_arrow_table()
        except duckdb.InterruptException as error:
            raise InvalidInput(f"the query took more than {self._seconds:g} s. Read fewer rows, or aggregate.") from error
        except duckdb.OutOfMemoryException as error:
            raise InvalidInput(f"the query needs more than {self._memory_limit}. Read fewer rows, or aggregate.") from error
        except duckdb.Error as error:
            raise InvalidInput(f"the query fails: {str(error).splitlines()[0]}") from error
        finally:
            watch.cancel()

    @contextmanager
    def _database(self) -> Generator[Any]:
        connection = duckdb.connect(":memory:", config={**_LOCKED, "memory_limit": self._memory_limit})
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()
