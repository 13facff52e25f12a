"""A copy of the whole store holds all of it, whoever reads meanwhile."""

from pathlib import Path
from threading import Timer

import duckdb

from server.storage.telemetry.store import _settle


def test_a_copy_is_settled_once_no_transaction_of_others_knows_of_it(tmp_path: Path) -> None:
    """Detached while one does, its rows stay in a log beside the file, which is in no backup."""
    connection = duckdb.connect(str(tmp_path / "own.duckdb"))
    connection.execute("CREATE TABLE held AS SELECT range AS x FROM range(100000)")
    maker, other, copy = connection.cursor(), connection.cursor(), tmp_path / "copy.duckdb"
    maker.execute(f"ATTACH '{copy}' AS copied")
    other.begin()
    other.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
    maker.execute("COPY FROM DATABASE own TO copied")
    leaving = Timer(0.3, other.rollback)
    leaving.start()
    _settle(maker, "copied")
    maker.execute("DETACH copied")
    left_over = copy.with_name("copy.duckdb.wal").exists()
    leaving.join()
    connection.close()
    assert not left_over
    assert duckdb.connect(str(copy)).execute("SELECT count(*) FROM held").fetchall() == [(100_000,)]
