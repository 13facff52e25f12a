"""P1: what was answered with ok is there after kill -9, in every store, however often it happens."""

import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from server.app import App
from server.domain.telemetry import Fleet
from server.settings import Settings

CHILD = Path(__file__).with_name("write_until_killed.py")


def acknowledged(home: Path, number: int, seconds: float) -> list[str]:
    """What a writer said ok to before it was killed after so many seconds of writing."""
    words = [sys.executable, str(CHILD), str(home), str(number)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first = [child.stdout.readline() for _ in range(4)]
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        said = [*first, *child.stdout.readlines()]
    assert child.returncode == -signal.SIGKILL
    return [line.strip() for line in said if line.endswith("\n")]


@pytest.mark.slow
def test_what_was_answered_survives_twelve_kills(tmp_path: Path) -> None:
    """Audit entries, runs, artifacts and telemetry rows of all twelve lives; and the audit chain is whole."""
    chance = np.random.default_rng(3)
    said: list[str] = []
    for life in range(12):
        said += acknowledged(tmp_path, life, float(chance.uniform(0.05, 1.2)))
        with App(Settings(home=tmp_path, threads=1, _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
            audit = {entry.subject for entry in app.records.audit("t", limit=100_000)}
            runs = {run.id for run in app.records.runs("default", limit=100_000)}
            assert app.records.verify_audit("t") == len(audit)
            batches = list(app.telemetry.blocks(app.telemetry.snapshot(Fleet()), rows=1_000_000)) if runs else []
            times = {moment for batch in batches for moment in batch.column("time").to_pylist()}
            for kind, what in (line.split() for line in said):
                if kind == "artifact":
                    run, name = what.split("/")
                    assert app.artifacts.open(run, name).read_text() == run
                elif kind == "row":
                    assert int(datetime.fromisoformat(what).timestamp() * 1_000_000) in times
                else:
                    assert what in (audit if kind == "audit" else runs), f"{what} was acknowledged in life {life} and is gone"
    assert len(said) > 100
