"""Stores that the suite of `Records` runs on: SQLite always, PostgreSQL where one answers."""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from server.storage.sql import SqlRecords
from server.storage.sql.schema import migrate

POSTGRES = os.environ.get("ANOMALYST_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store with its tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "records.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[psycopg.Connection | str]:
    """A connection to PostgreSQL, or the reason why there is none."""
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError as error:
        yield f"no PostgreSQL answers: {error}"
        return
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_tables(postgres: psycopg.Connection | str) -> Iterator[str]:
    """URL of a PostgreSQL schema with the tables in it, for all tests; skips with the reason where there is none."""
    if isinstance(postgres, str):
        pytest.skip(postgres)
    with _schema(postgres) as url:
        migrate(url)
        yield url


class _schema:  # noqa: N801 - used like a function
    def __init__(self, server: psycopg.Connection) -> None:
        self.server, self.name = server, f"test_{uuid.uuid4().hex}"

    def __enter__(self) -> str:
        self.server.execute(f"CREATE SCHEMA {self.name}")
        return f"{POSTGRES}?options=-csearch_path%3D{self.name}"

    def __exit__(self, *_: object) -> None:
        self.server.execute(f"DROP SCHEMA {self.name} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a store that has not been opened yet: no tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'records.db'}"
        return
    server = request.getfixturevalue("postgres")
    if isinstance(server, str):
        pytest.skip(server)
    with _schema(server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> Iterator[str]:
    """URL of a store with no rows."""
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(migrated, tmp_path / 'records.db')}"
        return
    found: str = request.getfixturevalue("postgres_tables")
    yield found
    with psycopg.connect(found) as server:
        tables = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        names = ", ".join(name for (name,) in tables if name != "alembic_version")
        server.execute(f"TRUNCATE {names} RESTART IDENTITY")


@pytest.fixture
def records(url: str) -> Iterator[SqlRecords]:
    """An open store with no rows."""
    store = SqlRecords(url)
    yield store
    store.close()
