"""The audit trail: any edit shows, whoever writes at the same time (P17)."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from server.domain.audit import AuditEntry
from server.errors import ArtifactDamaged, InvalidInput
from server.storage.sql import SqlRecords
from server.storage.sql.database import Database

NOW = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)


def an_entry(number: int, tenant: str = "acme") -> AuditEntry:
    time = NOW + timedelta(seconds=number)
    return AuditEntry(tenant=tenant, time=time, actor=f"zoë {number}", channel="cli", action="apply", subject=f"s-{number}")


@pytest.fixture
def trail(records: SqlRecords) -> SqlRecords:
    for number in range(1, 7):
        records.append_audit(an_entry(number))
        records.append_audit(an_entry(number, "rival"))
    return records


def test_entries_come_back_newest_first_and_the_trail_verifies(trail: SqlRecords) -> None:
    """Each tenant has its own chain."""
    assert trail.audit("acme", limit=2, offset=1) == [an_entry(5), an_entry(4)]
    assert trail.verify_audit("acme") == 6
    assert trail.verify_audit("nobody") == 0


@pytest.mark.parametrize(
    ("tampering", "named"),
    [
        ("UPDATE audit SET subject = 's-9' WHERE number = 3 AND tenant = 'acme'", "row 3 was edited"),
        ("UPDATE audit SET actor = 'zoë 2' WHERE number = 1 AND tenant = 'acme'", "row 1 was edited"),
        ("UPDATE audit SET hash = previous WHERE number = 2 AND tenant = 'acme'", "row 2 was edited"),
        ("UPDATE audit SET previous = hash WHERE number = 2 AND tenant = 'acme'", "row 2 was edited"),
        ("DELETE FROM audit WHERE number = 4 AND tenant = 'acme'", "row 4 was removed"),
        ("DELETE FROM audit WHERE number = 1 AND tenant = 'acme'", "row 1 was removed"),
        ("DELETE FROM audit WHERE number >= 5 AND tenant = 'acme'", "row 5 was removed"),
        ("DELETE FROM audit WHERE tenant = 'acme'", "row 1 was removed"),
        ("DELETE FROM audit_head WHERE tenant = 'acme'", "row 6 is not the one"),
        (
            "UPDATE audit SET number = CASE number WHEN 2 THEN -3 ELSE -2 END WHERE number IN (2, 3) AND tenant = 'acme';"
            "UPDATE audit SET number = -number WHERE number < 0",
            "row 2 was edited or moved",
        ),
        (
            "DELETE FROM audit WHERE number = 6 AND tenant = 'rival';"
            "UPDATE audit SET tenant = 'rival' WHERE number = 6 AND tenant = 'acme'",
            "row 6 was removed",
        ),
    ],
)
def test_any_edit_is_named(trail: SqlRecords, url: str, tampering: str, named: str) -> None:
    """Edited, removed (at the end too), reordered or moved to another tenant: the first such row is named."""
    database = Database(url)
    with database.writing() as connection:
        for statement in tampering.split(";"):
            connection.execute(text(statement))
    database.close()
    with pytest.raises(ArtifactDamaged, match=f"tenant acme.*{named}.*backup"):
        trail.verify_audit("acme")


def test_an_entry_without_a_zone_is_refused(records: SqlRecords) -> None:
    """The hash covers the moment, so the moment has to be one."""
    with pytest.raises(InvalidInput, match="zone"):
        records.append_audit(an_entry(1).model_copy(update={"time": NOW.replace(tzinfo=None)}))


WRITER = """
import sys
from datetime import UTC, datetime
from server.domain.audit import AuditEntry
from server.storage.sql import SqlRecords
records = SqlRecords(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    subject = f"{sys.argv[2]}-{number}"
    now = datetime.now(UTC)
    records.append_audit(AuditEntry(tenant="acme", time=now, actor="a", channel="c", action="x", subject=subject))
    print(subject, flush=True)
"""


def _start(url: str, name: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, url, name]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_four_processes_make_one_unbroken_chain(records: SqlRecords, url: str) -> None:
    """No entry is lost, doubled or forked, whoever appends at the same time."""
    writers = [_start(url, f"w{number}") for number in range(4)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert records.verify_audit("acme") == 100
    assert len({entry.subject for entry in records.audit("acme", limit=1000)}) == 100


def test_an_acknowledged_entry_survives_kill_9(records: SqlRecords, url: str) -> None:
    """P1: what was answered is there after the writer is killed in the middle of its work, and the chain is whole."""
    writer = _start(url, "w")
    assert writer.stdout is not None
    assert writer.stdin is not None
    writer.stdout.readline()
    writer.stdin.write("go\n")
    writer.stdin.flush()
    acknowledged = [writer.stdout.readline().strip() for _ in range(5)]
    writer.kill()
    acknowledged += writer.stdout.read().split()
    writer.communicate()
    stored = [entry.subject for entry in records.audit("acme")][::-1]
    assert stored[: len(acknowledged)] == acknowledged
    assert records.verify_audit("acme") in {len(acknowledged), len(acknowledged) + 1}
