"""Writes to every store and says so after each answer: python write_until_killed.py HOME NUMBER. It ends when it is killed."""

import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from server.app import App
from server.connectors.files import FilesConnector
from server.domain.audit import AuditEntry
from server.domain.run import SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.settings import Settings

home, start = Path(sys.argv[1]), int(sys.argv[2])
NOW = datetime(2025, 1, 1, tzinfo=UTC)


def said(kind: str, what: str) -> None:
    """Acknowledge on standard output, at once."""
    sys.stdout.write(f"{kind} {what}\n")
    sys.stdout.flush()


with App(Settings(home=home, threads=1, _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
    records, artifacts, telemetry, walk = app.records, app.artifacts, app.telemetry, app.walk  # all of it is loaded now
    for number in count(start * 1_000):
        entry = AuditEntry(tenant="t", time=NOW, actor="a", channel="test", action="act", subject=f"s-{number}")
        records.append_audit(entry)
        said("audit", f"s-{number}")
        run = f"run-{number}"
        walk.start(Fleet(), SourceSpec(connector="files", location="x.csv"), WalkSettings(), run_id=run)
        said("run", run)
        name = artifacts.write(run, "some", ".json", lambda path, text=run: path.write_text(text) and None)
        said("artifact", f"{run}/{name}")
        rows = home / "rows.csv"
        moment = (NOW + timedelta(minutes=number)).isoformat()
        rows.write_text(f"device,time,load\nd,{moment},{number}\n")
        source = FilesConnector(None).open(str(rows), {})
        telemetry.ingest(Fleet(), source, (), fit_split=None, now=NOW + timedelta(days=90), progress=lambda *_: None)
        said("row", moment)
