"""Which state the records are in, cheap to ask: equal answers mean that nothing was committed in between, by any process."""

import sqlite3
from contextlib import suppress
from threading import Lock

from sqlalchemy import text

from server.storage.sql.database import Database

_SNAPSHOT = text("SELECT pg_current_snapshot()::text")


class State:
    """Asks SQLite over a connection that never writes, so that every commit is another's; PostgreSQL for what it could see.

    https://www.sqlite.org/pragma.html#pragma_data_version and PostgreSQL's manual on `pg_current_snapshot`: two equal
    snapshots see the same committed transactions.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._guard = database, Lock()
        self._connection: sqlite3.Connection | None = None

    def now(self) -> str | None:
        """A token of the state; None where it cannot be told at once. Never waits for a writer."""
        if not self._database.is_sqlite:
            with self._database.reading() as connection:
                return str(connection.execute(_SNAPSHOT).scalar_one())
        with self._guard, suppress(sqlite3.Error):
            if self._connection is None:
                path = str(self._database.url.database)
                # one connection for good: the numbers of two cannot be compared
                self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            return str(self._connection.execute("PRAGMA data_version").fetchone()[0])
        return None

    def close(self) -> None:
        """Give back the connection."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
