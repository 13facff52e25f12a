"""P6 on a real full disk: typed errors, reads go on, and no restart once there is room again."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import Unavailable
from server.storage.artifacts import ArtifactFolder
from server.storage.sql import SqlRecords


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False)
        if os.geteuid() == 0
        else None
    )
    if made is None or made.returncode:
        pytest.skip("a file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def a_run(number: int, size: int) -> Run:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return Run(
        id=f"run-{number}",
        fleet=Fleet(),
        settings=WalkSettings(),
        created=created,
        source=SourceSpec(connector="files", location="x" * size),
    )


def _fill(records: SqlRecords) -> list[str]:
    stored: list[str] = []
    with suppress(Unavailable):
        for number in range(100):
            records.add_run(run := a_run(number, 200_000))
            stored.append(run.id)
    return stored


def test_records_and_artifacts_refuse_and_go_on(small_disk: Path, migrated: Path) -> None:
    """Everything acknowledged before is there while the disk is full and after; what was refused is wholly absent."""
    (small_disk / "records.db").write_bytes(migrated.read_bytes())
    records, artifacts = SqlRecords(f"sqlite:///{small_disk / 'records.db'}"), ArtifactFolder(small_disk / "artifacts")
    name = artifacts.write("run-0", "a", ".json", lambda path: path.write_bytes(b"x" * 100_000) and None)
    stored = _fill(records)
    assert 1 < len(stored) < 30
    with pytest.raises(Unavailable, match="space"):
        artifacts.write("run-0", "b", ".json", lambda path: path.write_bytes(b"x" * 4_000_000) and None)
    assert {run.id for run in records.runs("default", limit=100)} == set(stored)
    assert artifacts.open("run-0", name).stat().st_size == 100_000
    artifacts.open("run-0", name).unlink()
    records.add_run(a_run(999, 10))
    records.close()
    assert len(SqlRecords(f"sqlite:///{small_disk / 'records.db'}").runs("default", limit=100)) == len(stored) + 1
