"""Foreign SQL is held to one SELECT over one table: whatever else it tries is refused, and what is too much is stopped."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from server.errors import InvalidInput
from server.storage.telemetry.locked import LockedDuckDB

ROWS = 5000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """A few devices with one metric."""
    times = [datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(minutes=n) for n in range(ROWS)]
    devices = pa.array([f"d{n % 10}" for n in range(ROWS)]).dictionary_encode()
    return pa.table({"device": devices, "time": pa.array(times, pa.timestamp("us")), "Load": [float(n) for n in range(ROWS)]})


@pytest.fixture(scope="module")
def locked() -> LockedDuckDB:
    """Half a second for each query."""
    return LockedDuckDB(seconds=0.5)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT device, avg(load) FROM telemetry WHERE time > TIMESTAMP '2025-01-02' GROUP BY device ORDER BY 2 DESC",
        "WITH d AS (SELECT device, max(load) m FROM telemetry GROUP BY 1) SELECT * FROM d WHERE m > 5 ORDER BY m; ",
        "SELECT date_trunc('day', time), quantile_cont(load, 0.9) FROM telemetry GROUP BY ALL -- by day",
        "SELECT load - lag(load) OVER (PARTITION BY device ORDER BY time) FROM telemetry QUALIFY row_number() OVER () < 3",
        "SELECT count(*) FILTER (load > 5), CASE WHEN min(load) < 1 THEN 'low' ELSE 'high' END FROM telemetry",
        "SELECT t.device FROM telemetry t JOIN (SELECT DISTINCT device FROM telemetry) u USING (device) WHERE load IN (1, 2)",
        "SELECT 1 UNION ALL SELECT count(*) FROM telemetry WHERE device LIKE 'd%' AND time BETWEEN '2025-01-01' AND now()",
    ],
)
def test_ordinary_questions_are_answered(locked, table, sql) -> None:
    """Aggregates, windows, joins, common table expressions and sets over the one table."""
    assert locked.run(table, sql, limit=5).rows


def test_order_and_limit_are_kept(locked, table) -> None:
    """The first rows in the query's own order, and whether there are more."""
    found = locked.run(table, "SELECT load FROM telemetry ORDER BY load DESC", limit=3)
    assert (found.rows, found.truncated) == ([(ROWS - 1.0,), (ROWS - 2.0,), (ROWS - 3.0,)], True)
    assert not locked.run(table, "SELECT load FROM telemetry LIMIT 3", limit=3).truncated


def test_only_the_columns_that_are_read_are_named(locked) -> None:
    """A star may read all."""
    assert {"load", "time"} <= locked.columns('SELECT max(LOAD) FROM telemetry t WHERE t."time" > now()')
    assert "device" not in locked.columns("SELECT max(load) FROM telemetry")
    assert "device" in locked.columns("SELECT 1 FROM telemetry a JOIN telemetry b USING (device)")
    assert locked.columns("SELECT count(*) FROM telemetry") == frozenset()
    assert locked.columns("SELECT x FROM (SELECT * FROM telemetry)") is None
    assert locked.columns("SELECT 1 FROM telemetry a NATURAL JOIN telemetry b") is None
    assert locked.columns("FROM telemetry") is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('*')",
        "ATTACH 'other.duckdb'",
        "COPY telemetry TO 'out.csv'",
        "COPY (SELECT 1) TO 'out.csv'",
        "EXPORT DATABASE 'out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET memory_limit = '100GB'",
        "SET VARIABLE x = 1",
        "RESET lock_configuration",
        "CALL pragma_version()",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW telemetry",
        "DELETE FROM telemetry",
        "EXPLAIN SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW telemetry",
        "DESCRIBE telemetry",
        "SHOW TABLES",
        "SUMMARIZE telemetry",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM pragma_database_list()",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('telemetry')",
        "SELECT getenv('HOME')",
        "SELECT current_setting('temp_directory')",
        "SELECT getvariable('x')",
        "SELECT * FROM table",
        "SELECT * FROM main.telemetry",
        "WITH telemetry2 AS (SELECT 1) SELECT * FROM other",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "SELECT repeat('x', 1000000000)",
        "SELECT device || device FROM telemetry",
        "SELECT list_sum(range(1000000000))",
        "SELECT * FROM range(1000000000)",
        "SELECT [n FOR n IN [1, 2]]",
        "SELECT string_agg(device, device) FROM telemetry",
        "SELECT $1",
        "SELECT abs(" * 1500 + "1" + ")" * 1500,
        "SELECT " + "(" * 1500 + "1" + ")" * 1500,
        "SELECT load FROM",
        "SELECT no_such_column FROM telemetry",
        "SELECT '\ud800'",
        "",
        "-- nothing",
    ],
)
def test_everything_else_is_refused(locked, table, sql) -> None:
    """Files, settings, other tables, statements of any other kind, and functions that can grow without bound."""
    with pytest.raises(InvalidInput):
        locked.run(table, sql, limit=5)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM telemetry a, telemetry b, telemetry c WHERE a.load + b.load > c.load",
        "SELECT a.load FROM telemetry a, telemetry b, telemetry c ORDER BY a.load * b.load * c.load",
        "SELECT count(DISTINCT a.load * b.load + c.load) FROM telemetry a, telemetry b, telemetry c",
        "SELECT median(a.load) FROM telemetry a, telemetry b, telemetry c",
    ],
)
def test_a_query_without_end_is_stopped(locked, table, sql) -> None:
    """By time or by memory, and the next query is answered."""
    with pytest.raises(InvalidInput, match=r"took more than|needs more than"):
        locked.run(table, sql, limit=5)
    assert locked.run(table, "SELECT count(*) FROM telemetry", limit=1).rows == [(ROWS,)]


def test_a_python_variable_is_not_a_table(locked, table) -> None:
    """DuckDB would find a frame of the caller's by its name."""
    secret = pa.table({"x": [1]})
    with pytest.raises(InvalidInput, match="no table 'secret'"):
        locked.run(table, "SELECT * FROM secret", limit=secret.num_rows)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT content FROM read_text('{file}')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM duckdb_settings() WHERE false UNION ALL SELECT * FROM read_csv('{file}')",
    ],
)
def test_the_database_reaches_no_file_even_if_the_query_is_let_through(locked, table, monkeypatch, tmp_path, sql) -> None:
    """Two locks, each of which holds alone: here the look at the query is left out."""
    file = tmp_path / "secret.csv"
    file.write_text("a,b\n1,2\n")
    monkeypatch.setattr("server.storage.telemetry.locked.columns_read", lambda *_: None)
    with pytest.raises(InvalidInput, match=r"(?i)disabled|not allowed|permission"):
        locked.run(table, sql.format(file=file), limit=5)
