"""Rows removed by age: new snapshots do not see them, needed ones stay whole, and a broken one says so."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.domain.retention import PrunedTelemetry
from server.domain.telemetry import Fleet, Snapshot
from server.errors import TelemetryPruned
from server.storage.telemetry import DuckDBTelemetryStore

START = datetime(2025, 1, 1, tzinfo=UTC)


def rows_of(telemetry: Any, snapshot: Snapshot) -> int:
    return sum(block.num_rows for block in telemetry.store.blocks(snapshot, rows=3))


def prune(
    telemetry: Any, fleet: Fleet, hour: float, *needed: Snapshot, now: datetime, dry_run: bool = False
) -> PrunedTelemetry:
    sequences = {each.sequence for each in needed}
    before = START + timedelta(hours=hour)
    return telemetry.store.prune(fleet, before=before, needed=sequences, now=now, dry_run=dry_run)


@pytest.fixture
def ten(telemetry: Any, make_source: Any, make_row: Any) -> Fleet:
    """A fleet of two devices with five hourly rows each, and one that was kept aside."""
    fleet = telemetry.fleet()
    rows = [make_row(device, hour, x=hour, split="fit") for device in "ab" for hour in range(5)]
    telemetry.ingest(fleet, make_source([*rows, make_row(None, 1)]), fit_split="fit")
    return fleet


def test_what_no_snapshot_needs_is_gone_and_new_ones_begin_later(telemetry: Any, ten: Fleet, now: datetime) -> None:
    """Rows before the time are neither read nor counted, and the sum of rows still tells where each went."""
    before = telemetry.store.snapshot(ten)
    done = prune(telemetry, ten, 2, now=now)
    assert (done.retired, done.removed, done.waiting) == (4, 4, 0)
    after = telemetry.store.snapshot(ten)
    assert (before.rows, after.rows, rows_of(telemetry, after)) == (10, 6, 6)
    health = telemetry.store.health(ten)
    assert (health.rows, health.pruned) == (6, 4)
    assert health.rows_in == health.rows + health.pruned + sum(health.rejected.values())
    assert health.first == START + timedelta(hours=2)


def test_a_snapshot_that_lost_rows_is_refused_and_one_that_did_not_is_read(telemetry: Any, ten: Fleet, now: datetime) -> None:
    """Whole it cannot be answered any more; the part of it that was left alone can."""
    old = telemetry.store.snapshot(ten)
    prune(telemetry, ten, 2, now=now)
    for read in (telemetry.store.members, lambda each: rows_of(telemetry, each)):
        with pytest.raises(TelemetryPruned, match=r"4 rows .* start a new one"):
            read(old)
    later = old.model_copy(update={"start": START + timedelta(hours=2)})
    assert rows_of(telemetry, later) == 6


def test_a_needed_snapshot_reads_what_it_read_until_it_is_needed_no_more(telemetry: Any, ten: Fleet, now: datetime) -> None:
    """Its rows wait; the next pruning after that takes them."""
    old = telemetry.store.snapshot(ten)
    done = prune(telemetry, ten, 2, old, now=now)
    assert (done.retired, done.removed, done.waiting) == (4, 0, 4)
    assert (rows_of(telemetry, old), telemetry.store.snapshot(ten).rows) == (10, 6)
    again = prune(telemetry, ten, 2, telemetry.store.snapshot(ten), now=now)
    assert (again.retired, again.removed, again.waiting) == (0, 4, 0)
    with pytest.raises(TelemetryPruned):
        telemetry.store.members(old)
    assert telemetry.store.health(ten).pruned == 4


def test_rows_taken_away_between_two_blocks_end_the_reading(telemetry: Any, ten: Fleet, now: datetime) -> None:
    """Blocks are queries of their own: what reads them must not take the second half of a fleet for the whole of it."""
    blocks = telemetry.store.blocks(telemetry.store.snapshot(ten), rows=1)
    next(blocks)
    prune(telemetry, ten, 2, now=now)
    with pytest.raises(TelemetryPruned):
        list(blocks)


def test_what_was_made_of_rows_that_are_gone_is_not_carried_on(
    telemetry: Any, make_source: Any, make_row: Any, now: datetime
) -> None:
    """Where rows were deleted nobody can tell any more in what two snapshots differ; where they wait it is still told."""
    fleet = telemetry.fleet()
    telemetry.ingest(fleet, make_source([make_row(device, hour, model="m") for device in "ab" for hour in range(5)]))
    old = telemetry.store.snapshot(fleet)
    prune(telemetry, fleet, 2, old, now=now)
    new = telemetry.store.snapshot(fleet)
    assert set(telemetry.store.differences(old, new)) == {"a", "b"}
    prune(telemetry, fleet, 2, new, now=now)
    assert telemetry.store.differences(old, new) is None


def test_a_dry_run_counts_the_same_and_changes_nothing(telemetry: Any, ten: Fleet, now: datetime) -> None:
    """Not even the number of the next ingest."""
    state, snapshot = telemetry.state(ten), telemetry.store.snapshot(ten)
    told = prune(telemetry, ten, 2, now=now, dry_run=True)
    assert (telemetry.state(ten), telemetry.store.snapshot(ten)) == (state, snapshot)
    assert prune(telemetry, ten, 2, now=now).model_dump(exclude={"bytes"}) == told.model_dump(exclude={"bytes"})


def test_what_is_fitted_on_stays_as_it_was(telemetry: Any, ten: Fleet, make_source: Any, make_row: Any, now: datetime) -> None:
    """The removal is numbered like an ingest, and must not be taken for one without a split."""
    telemetry.ingest(ten, make_source([make_row("a", 9, split="test")]), fit_split="fit")
    prune(telemetry, ten, 2, now=now)
    assert telemetry.table(ten)["reference"] == [True, True, True, False, True, True, True]


def test_removed_rows_that_come_again_are_rows_like_any(
    telemetry: Any, ten: Fleet, make_source: Any, make_row: Any, now: datetime
) -> None:
    """The next pruning removes them again."""
    prune(telemetry, ten, 2, now=now)
    report = telemetry.ingest(ten, make_source([make_row("a", 0, x=7.0)]))
    assert (report.rows_kept, telemetry.store.snapshot(ten).rows) == (1, 7)
    assert prune(telemetry, ten, 2, now=now).removed == 1


def test_rows_kept_aside_go_by_when_they_were_seen(telemetry: Any, ten: Fleet, now: datetime) -> None:
    """They hold what was sent, and may not outlive it."""
    prune(telemetry, ten, 2, now=now)
    assert len(telemetry.store.rejected(ten, limit=9)) == 1
    telemetry.store.prune(ten, before=now + timedelta(days=1), needed=(), now=now, dry_run=False)
    assert telemetry.store.rejected(ten, limit=9) == []


def test_a_fleet_never_ingested_has_nothing_to_remove(telemetry: Any, now: datetime) -> None:
    """A run may have failed before its first row."""
    assert prune(telemetry, Fleet(name="never"), 2, now=now) == PrunedTelemetry(
        fleet="never", before=START + timedelta(hours=2)
    )


_KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from server.domain.telemetry import Fleet
from server.storage.telemetry import DuckDBTelemetryStore
from server.storage.telemetry.schema import FleetTables
import server.storage.telemetry.pruning as pruning
run = pruning.Pruning.run
def dying(self, tables):
    run(self, tables)
    os.kill(os.getpid(), signal.SIGKILL)
pruning.Pruning.run = dying
store = DuckDBTelemetryStore(Path(sys.argv[1]))
moment = datetime.fromisoformat(sys.argv[2])
store.prune(Fleet(), before=moment, needed=(), now=moment, dry_run=False)
"""


def test_killed_before_the_commit_nothing_was_removed(make_source: Any, make_row: Any, now: datetime, tmp_path: Path) -> None:
    """P1, P2: all of it or nothing; the next pruning does it all."""
    file, moment = tmp_path / "t.duckdb", START + timedelta(hours=2)
    store = DuckDBTelemetryStore(file, threads=1)
    rows = [make_row("a", hour) for hour in range(5)]
    store.ingest(Fleet(), make_source(rows), (), fit_split=None, now=now, progress=lambda *_: None)
    whole = store.snapshot(Fleet())
    store.close()
    died = subprocess.run(
        [sys.executable, "-c", _KILLED, file, moment.isoformat()], env=os.environ, capture_output=True, text=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    store = DuckDBTelemetryStore(file, threads=1)
    assert store.snapshot(Fleet()) == whole
    assert store.prune(Fleet(), before=moment, needed=(), now=now, dry_run=False).removed == 2
    store.close()
