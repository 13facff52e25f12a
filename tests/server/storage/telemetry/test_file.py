"""The store's file: one process, no network, a disk that fills up."""

import ctypes
import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest

from server.domain.telemetry import Fleet
from server.errors import InvalidInput, StoreBusy, Unavailable
from server.storage.telemetry import DuckDBTelemetryStore

FLEET = Fleet()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB; needs the right to mount one."""
    libc = ctypes.CDLL(None, use_errno=True)
    place = tmp_path / "disk"
    place.mkdir()
    if libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"size=8m") != 0:
        pytest.skip("mounting is not allowed here")
    yield place
    libc.umount2(os.fsencode(place), 2)


def _ingest(store, source, now):
    return store.ingest(FLEET, source, (), fit_split=None, now=now, progress=lambda *_: None)


def test_what_was_ingested_is_there_after_a_restart(tmp_path, make_source, make_row, now):
    """And what did not fit memory goes beside the file, not elsewhere."""
    store = DuckDBTelemetryStore(tmp_path / "t.duckdb")
    _ingest(store, make_source([make_row("a", 0), make_row("a", 1)]), now)
    digest = store.snapshot(FLEET).digest
    store.close()
    again = DuckDBTelemetryStore(tmp_path / "t.duckdb", memory_limit="200MB", threads=1, lateness=timedelta(hours=1))
    assert again.snapshot(FLEET).digest == digest
    again.close()


def test_memory_stays_bounded_after_rows_were_stored_and_read(tmp_path, make_source, make_row, now):
    """Giving memory back sets the limit again: it has to be the same one."""
    store = DuckDBTelemetryStore(tmp_path / "t.duckdb", memory_limit="200MiB")
    _ingest(store, make_source([make_row("a", 0), make_row("a", 1)]), now)
    list(store.blocks(store.snapshot(FLEET), rows=10))
    with store._cursor() as cursor:
        assert cursor.execute("SELECT current_setting('memory_limit')").fetchall() == [("200.0 MiB",)]
    store.close()


def test_the_store_has_its_threads_again_after_an_ingest(tmp_path, make_source, make_row, now):
    """Also after one that was refused: the setting is the whole store's."""
    store = DuckDBTelemetryStore(tmp_path / "t.duckdb", threads=3)
    for rows in ([make_row("a", 0)], []):
        with suppress(InvalidInput):
            _ingest(store, make_source(rows), now)
        with store._cursor() as cursor:
            assert cursor.execute("SELECT current_setting('threads')").fetchall() == [(3,)]
    store.close()


def test_a_second_process_is_told_that_the_store_is_busy(tmp_path):
    """One process owns the file."""
    store = DuckDBTelemetryStore(tmp_path / "t.duckdb")
    code = (
        "import sys, pathlib\nfrom server.errors import StoreBusy\nfrom server.storage.telemetry import DuckDBTelemetryStore\n"
        f"try:\n    DuckDBTelemetryStore(pathlib.Path({str(tmp_path / 't.duckdb')!r}))\n"
        "except StoreBusy as error:\n    sys.exit(0 if 'another process' in str(error) else 2)\nsys.exit(1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    store.close()
    assert done.returncode == StoreBusy.exit_code - 75


def test_nothing_outside_the_file_can_be_reached_through_the_store(tmp_path):
    """No file reads, no extensions from the network."""
    store = DuckDBTelemetryStore(tmp_path / "t.duckdb")
    settings = "autoinstall_known_extensions", "autoload_known_extensions", "enable_external_access"
    read = store._connection.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in settings)).fetchall()
    store.close()
    assert read == [(False, False, False)]


def test_a_full_disk_is_said_reads_go_on_and_space_is_enough_to_go_on(small_disk, make_source, make_row, now):
    """P6: a typed error, nothing half stored, no restart."""
    store = DuckDBTelemetryStore(small_disk / "t.duckdb", threads=1)
    _ingest(store, make_source([make_row("a", hour) for hour in range(50)]), now)
    before = store.snapshot(FLEET)
    noise = np.random.default_rng(0).normal(size=60_000)
    names = tuple(f"x{number}" for number in range(40))
    big = [{**make_row("b", hour / 60), **dict.fromkeys(names, value), "x": 1.0} for hour, value in enumerate(noise)]
    filler = small_disk / "filler"
    filler.write_bytes(b"0" * (6 << 20))
    with pytest.raises(Unavailable):
        _ingest(store, make_source(big, ("x", *names), batch=10_000), now)
    assert store.snapshot(FLEET) == before
    assert sum(block.num_rows for block in store.blocks(before, rows=10)) == 50
    filler.unlink()
    report = _ingest(store, make_source([make_row("a", 60)]), now)
    assert (report.rows_kept, store.snapshot(FLEET).rows) == (1, 51)
    store.close()
