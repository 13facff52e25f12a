"""Migrations: up, down, in step with the tables, and invisible when there is nothing to do."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from server.domain.anomaly import Anomaly, AnomalyFilter
from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import InvalidInput, Unavailable
from server.storage.columns import anomaly_rows
from server.storage.sql import SqlRecords, schema
from server.storage.sql.database import Database
from server.storage.tables import SQLModel

SOURCE = SourceSpec(connector="files", location="x.csv")
MIGRATIONS = Path(schema.__file__).parent.parent / "migrations"


def _tables(url: str) -> set[str]:
    database = Database(url)
    found = set(inspect(database.engine).get_table_names())
    database.close()
    return found


def test_the_tables_are_made_and_unmade(empty_url: str) -> None:
    """Up, again, down and up: each leaves exactly its tables."""
    wanted = set(SQLModel.metadata.tables) | {"alembic_version"}
    schema.migrate(empty_url)
    schema.migrate(empty_url)
    assert _tables(empty_url) == wanted
    schema.migrate(empty_url, "base")
    assert _tables(empty_url) == {"alembic_version"}
    schema.migrate(empty_url)
    assert _tables(empty_url) == wanted


def test_the_tables_of_corrections_come_and_go_without_the_others(empty_url: str) -> None:
    """Up from the release before and back: what was stored then is there after each step."""
    corrections = {"feedback", "expected_rule", "suggestion", "preview", "effect"}
    schema.migrate(empty_url, "0002")
    before = _tables(empty_url)
    schema.migrate(empty_url, "0003")
    assert _tables(empty_url) - before == corrections
    schema.migrate(empty_url)
    records = SqlRecords(empty_url)
    records.add_run(
        run := Run(id="run-1", fleet=Fleet(), settings=WalkSettings(), created=datetime(2026, 1, 1, tzinfo=UTC), source=SOURCE)
    )
    records.close()
    schema.migrate(empty_url, "0002")
    assert _tables(empty_url) == before
    records = SqlRecords(empty_url)
    assert (records.runs("default"), records.corrections.rules("default")) == ([run], [])
    records.close()


def test_anomalies_are_the_same_after_a_way_back_to_rows_and_forth(empty_url: str) -> None:
    """Down to the release that kept a row for each, whose rows are whole, and up again: ids, order, filters and all columns."""
    records = SqlRecords(empty_url)
    records.add_run(
        run := Run(id="run-1", fleet=Fleet(), settings=WalkSettings(), created=datetime(2026, 1, 1, tzinfo=UTC), source=SOURCE)
    )
    stored = [_anomaly(run, number) for number in range(20_000)]
    records.persist_scored(run, "s1", anomaly_rows(stored), [])
    wanted = AnomalyFilter(device="device-3", min_severity=40)
    before = records.anomalies("default", wanted, limit=20)
    records.close()
    schema.migrate(empty_url, "0003")
    database = Database(empty_url)
    with database.reading() as connection:
        rows = connection.execute(text("SELECT id, device, top_metric, severity FROM anomaly ORDER BY place")).all()
    database.close()
    worst_first = sorted(stored, key=lambda each: (each.severity, each.id), reverse=True)
    assert rows == [(each.id, each.device, each.top_metric, each.severity) for each in worst_first]
    records = SqlRecords(empty_url)
    assert records.anomalies("default", wanted, limit=20) == before
    assert records.anomaly("default", stored[17].id) == stored[17]
    records.close()


def _anomaly(run: Run, number: int) -> Anomaly:
    return Anomaly(
        id=f"a-{number * 7919 % 20_011:05x}",
        fleet=run.fleet,
        run=run.id,
        device=f"device-{number % 7}",
        time=run.created,
        score=-0.5,
        threshold=-0.4,
        severity=number % 101,
        confidence=0.5,
        detector_version=1,
        incident="i-1" if number % 3 else "",
    )


def test_the_migrations_make_what_the_tables_say(empty_url: str) -> None:
    """No drift: columns, types, keys, indices; and the code's head is the newest migration."""
    schema.migrate(empty_url)
    database = Database(empty_url)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    database.close()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_checks_and_storage_are_those_of_the_tables(migrated: Path) -> None:
    """What the comparison does not see: check constraints and SQLite's table kinds, as the text of each table."""
    made = Database(f"sqlite:///{migrated}")
    direct = Database(f"sqlite:///{migrated.with_name('direct.db')}")
    with direct.writing() as connection:
        SQLModel.metadata.create_all(connection)
    texts = []
    for database in (made, direct):
        with database.reading() as connection:
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE name != 'alembic_version'"))
            found = {name: sorted(" ".join(str(sql).split()).replace(")", ",").split(",")) for name, sql in rows}
            texts.append({name: sql for name, sql in found.items() if "alembic" not in name})
        database.close()
    assert texts[0] == texts[1]


def test_opening_a_store_makes_it_and_opening_it_again_loads_no_alembic(empty_url: str) -> None:
    """A second process starts without the weight of Alembic, and reads without that of Arrow's kernels."""
    SqlRecords(empty_url).close()
    code = (
        "import sys; from server.storage.sql import SqlRecords; from server.domain.anomaly import AnomalyFilter\n"
        f"records = SqlRecords({empty_url!r}); records.anomalies('t', AnomalyFilter()); records.runs('t')\n"
        "sys.exit('alembic' in sys.modules or 'pyarrow.compute' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_processes_that_open_a_new_store_at_once_all_get_it(empty_url: str) -> None:
    """The first to come migrates; the others wait for it."""
    code = f"from server.storage.sql import SqlRecords; SqlRecords({empty_url!r}).runs('t')"
    opened = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [each.wait() for each in opened] == [0] * 4


def test_a_store_of_a_newer_release_is_refused(url: str) -> None:
    """Reading tables of unknown shape could show wrong facts."""
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(Unavailable, match=r"9999.*newer release"):
            SqlRecords(url)
    finally:
        with database.writing() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{schema.HEAD}'"))
        database.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u@h/d", "sqlite://", "sqlite:///:memory:"], indirect=False)
def test_another_kind_of_store_is_refused(url: str) -> None:
    """The refusal shows the two that are known."""
    with pytest.raises(InvalidInput, match="sqlite:///<path> or postgresql://"):
        SqlRecords(url)


def test_a_server_that_does_not_answer_is_unavailable_and_its_password_stays_secret() -> None:
    """The error names the server, never the credentials."""
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/") as refused:
        SqlRecords("postgresql://anna:s3cret@127.0.0.1:1/test")
    assert "s3cret" not in str(refused.value)


def test_a_file_that_is_no_store_is_unavailable(tmp_path: Path) -> None:
    """A stray file is not overwritten."""
    (path := tmp_path / "records.db").write_bytes(b"no store" * 1000)
    with pytest.raises(Unavailable, match="not a database"):
        SqlRecords(f"sqlite:///{path}")
    assert path.read_bytes() == b"no store" * 1000


def test_a_full_disk_refuses_the_write_and_reads_go_on(tmp_path: Path, migrated: Path) -> None:
    """P6 by SQLite's own limit on pages; no restart is needed once there is room."""
    path = tmp_path / "records.db"
    path.write_bytes(migrated.read_bytes())
    records = SqlRecords(f"sqlite:///{path}")
    run = Run(id="run-1", fleet=Fleet(), settings=WalkSettings(), created=datetime(2026, 1, 1, tzinfo=UTC), source=SOURCE)
    records.add_run(run)
    with records._database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 50")
    big = run.model_copy(update={"id": "run-2", "source": SourceSpec(connector="files", location="x" * 1_000_000)})
    with pytest.raises(Unavailable, match="full"):
        records.add_run(big)
    assert records.runs("default") == [run]
    assert records.anomalies("default", AnomalyFilter()) == ([], 0)
    with records._database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 50000")
    records.add_run(big)
    assert len(records.runs("default")) == 2
    records.close()
