"""A database as the records use it: durable transactions, one writer at a time where it matters, driver errors by our names."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError
from sqlalchemy.pool import ConnectionPoolEntry

from server.errors import InvalidInput, Unavailable

_WAIT_MS = 30_000
_PAGES_KIB = 65_536


class Database:
    """One engine. `reading` and `writing` each hold one transaction, whole or not at all."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet, but make the folder of an SQLite file. Raises `InvalidInput` for other URLs."""
        self.url = _usable(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = (
            _sqlite_engine(self.url) if self.is_sqlite else create_engine(self.url, pool_pre_ping=True, hide_parameters=True)
        )
        self._driver_error: type[Exception] = self.engine.dialect.loaded_dbapi.Error

    @contextmanager
    def reading(self) -> Generator[Connection, None, None]:
        """A transaction that sees one state of the store. Raises `Unavailable` if the store cannot be read."""
        with self._named_errors("read"), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *locks: str) -> Generator[Connection, None, None]:
        """A transaction that is durable when it ends, and undone if anything is raised in it.

        On SQLite it is the only writer; on PostgreSQL the only one that named one of the same `locks`, which are taken in
        the order of their names, so that two callers never wait for each other.

        Raises:
            InvalidInput: a constraint of the tables refused the rows.
            Unavailable: the store cannot take the write: no answer, disk full, locked for too long.
        """
        with self._named_errors("write to"), self.engine.connect() as connection:
            writer = connection.execution_options(anomalyst_writes=True)
            with writer.begin():
                for lock in () if self.is_sqlite else sorted(locks):
                    writer.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 0))"), {"lock": lock})
                yield writer

    def copy_to(self, path: Path) -> bool:
        """Write one state of an SQLite file to `path`, while others go on; False for a database server, which has its own way.

        Raises:
            Unavailable: the copy cannot be written.
        """
        if not self.is_sqlite:
            return False
        with (
            self._named_errors("copy"),
            closing(sqlite3.connect(str(self.url.database), timeout=_WAIT_MS / 1000)) as own,
            closing(sqlite3.connect(path)) as copy,
        ):
            own.backup(copy)
            # a copy that keeps the write-ahead log's mode would leave two more files wherever it is opened
            copy.execute("PRAGMA journal_mode = DELETE")
        return True

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    @contextmanager
    def _named_errors(self, verb: str) -> Generator[None, None, None]:
        try:
            yield
        except DBAPIError as error:
            raise self._named(verb, error.orig or error) from error
        except StatementError as error:
            raise InvalidInput(f"the records cannot hold this: {error.orig}") from error
        except self._driver_error as error:
            raise self._named(verb, error) from error

    def _named(self, verb: str, error: BaseException) -> InvalidInput | Unavailable:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        why = str(error).strip().splitlines()[0] if str(error).strip() else kinds[0]
        if "IntegrityError" in kinds or "DataError" in kinds:
            return InvalidInput(f"the records refuse these rows: {why}")
        return Unavailable(
            f"cannot {verb} the records in {self.url.render_as_string(hide_password=True)}: {why}. "
            "Nothing of this call is stored; mend the cause, then call again."
        )


def file_of(url: str) -> Path | None:
    """The file of an SQLite store; None for a database server. Raises `InvalidInput` for other URLs."""
    usable = _usable(url)
    return Path(str(usable.database)) if usable.get_backend_name() == "sqlite" else None


def _usable(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInput(
            "the records' URL is none. Give sqlite:///<path> or postgresql://<user>@<host>/<database>."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise InvalidInput(
        f"records cannot be kept in {backend!r}. Give sqlite:///<path> or postgresql://<user>@<host>/<database>."
    )


def _sqlite_engine(url: URL) -> Engine:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot make the folder {folder.name} for the records: {error.strerror}.") from error
    engine = create_engine(url, connect_args={"timeout": _WAIT_MS / 1000}, hide_parameters=True)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    if not isinstance(connection, sqlite3.Connection):
        raise TypeError(f"expected a connection of sqlite3, not {type(connection).__name__}")
    connection.isolation_level = None  # the driver would begin by itself, and never IMMEDIATE
    for pragma in (
        f"busy_timeout = {_WAIT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",  # at NORMAL a power cut loses rows that were acknowledged
        "foreign_keys = ON",
        f"cache_size = -{_PAGES_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # a deferred transaction that turns to writing fails at once when another has written since, instead of waiting
    writes = connection.get_execution_options().get("anomalyst_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
