"""Applying a suggestion survives kill -9 at any of its steps: whole or not at all, and the next call ends it (promise P2)."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.app import App
from server.domain.identity import Principal
from server.domain.run import Stage
from server.domain.suggestion import SuggestionStatus
from server.settings import Settings

ANN = Principal(name="ann")
SCRIPT = Path(__file__).with_name("apply_until_killed.py")
STAGES = [Stage.TRAIN.value, Stage.SCORE.value, Stage.PERSIST.value]
QUICK = ["write-1", "write-5", Stage.SCORE.value]


@pytest.mark.parametrize(
    "point",
    [
        *QUICK,
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in [*STAGES, *(f"write-{number}" for number in range(1, 31))]
            if each not in QUICK
        ),
    ],
)
def test_an_apply_that_is_killed_is_whole_or_not_there_and_can_be_ended(desk: Any, tmp_path: Path, point: str) -> None:
    """One version more or none, the ledger to match, an audit trail that holds, and in the end what the preview promised."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    promised = desk.app.corrections.preview(ANN, standing.suggestion.id)
    desk.approve(standing)
    desk.app.__exit__(None, None, None)
    home = tmp_path / "killed"
    shutil.copytree(tmp_path / "home", home)
    done = subprocess.run(
        [sys.executable, SCRIPT, home, standing.suggestion.id, point], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL or (point not in QUICK and "survived" in done.stdout), done.stderr
    with App(Settings(home=home, threads=1, _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
        found = app.corrections.get(ANN, standing.suggestion.id)
        version = app.records.baseline_version(desk.run.fleet)
        effect = app.corrections.effects(ANN)
        applied = found.status is SuggestionStatus.APPLIED
        assert (version.version, len(effect)) == ((2, 1) if applied else (1, 0))
        assert found.status in {SuggestionStatus.APPLIED, SuggestionStatus.APPROVED}
        app.records.verify_audit("default")
        ended = app.corrections.apply(ANN, standing.suggestion.id)
        assert (ended.version_after, ended.next_tool) == (2, None)
        assert (ended.effect.alarms_after, ended.effect.removed) == (promised.alarms_after, promised.removed)
