"""The token of the records' state: any commit changes it, by whomever; reading does not."""

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.storage.sql import SqlRecords


def a_run(name: str) -> Run:
    """A run with nothing done yet."""
    source = SourceSpec(connector="files", location="f.csv")
    created = datetime(2026, 3, 1, tzinfo=UTC)
    return Run(id=name, fleet=Fleet(name="shop"), settings=WalkSettings(), source=source, created=created)


def test_it_stays_while_nothing_is_committed(records: SqlRecords) -> None:
    """However often it is asked, and whatever is read meanwhile. Of a server, other databases' commits change it as well."""
    assert records.state() is not None
    for _ in range(50):
        before = records.state()
        records.runs("default")
        if records.state() == before:
            return
        time.sleep(0.1)
    pytest.fail("reading changes the state")


def test_a_commit_of_this_process_changes_it(records: SqlRecords) -> None:
    """Each one does."""
    seen = {records.state()}
    for number in range(3):
        records.add_run(a_run(f"r{number}"))
        seen.add(records.state())
    assert len(seen) == 4


def test_a_commit_through_another_connection_changes_it(records: SqlRecords, url: str) -> None:
    """As the command line's, which opens the same store."""
    before = records.state()
    other = SqlRecords(url)
    other.add_run(a_run("r1"))
    other.close()
    assert records.state() != before


def test_a_commit_of_another_process_changes_it(records: SqlRecords, url: str) -> None:
    """It tells of nothing to this one."""
    before = records.state()
    told = a_run("r1").model_dump_json()
    code = (
        "import sys; from server.domain.run import Run; from server.storage.sql import SqlRecords;"
        "SqlRecords(sys.argv[1]).add_run(Run.model_validate_json(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, url, told], check=True)
    assert records.state() != before
    assert [run.id for run in records.runs("default")] == ["r1"]
