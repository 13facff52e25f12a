"""P2 and P3: killed at any stage, a stage is whole or absent, and the run resumes to what an unbroken one ends with."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.run import Run, SourceSpec, Stage
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.settings import Settings

CHILD = Path(__file__).with_name("walk_until_killed.py")
QUICK = WalkSettings(detector=DetectorSettings(n_estimators=20, contamination=0.02))
POINTS = ("middle", "unsaved")
TENANT = "default"


def opened(home: Path) -> App:
    """The server over stores in a folder of their own."""
    return App(Settings(home=home, threads=1))


def started(app: App, path: Path) -> Run:
    """A run on a file with nothing done yet."""
    return app.walk.start(Fleet(name="shop"), SourceSpec(connector="files", location=str(path)), QUICK)


def outcome(app: App, run: Run) -> str:
    """Hash of all that the run found: its scores, and each anomaly and incident as it is persisted, but for the run's name."""
    anomalies, count = app.records.anomalies(TENANT, AnomalyFilter(run=run.id), limit=1000)
    incidents, _ = app.records.incidents(TENANT, run_id=run.id, limit=1000)
    assert len(anomalies) == count > 0
    found = [run.stages[Stage.SCORE].digest]
    found += sorted(each.model_dump_json(exclude={"run", "incident"}) for each in anomalies)
    found += sorted(each.model_dump_json(exclude={"run", "id"}) for each in incidents)
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


@pytest.fixture(scope="module")
def unbroken(fleet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a walk ends with that nothing interfered with."""
    with opened(tmp_path_factory.mktemp("unbroken")) as app:
        return outcome(app, app.walk.advance(TENANT, started(app, fleet_file).id))


def kill_at(home: Path, run_id: str, stage: Stage, point: str) -> None:
    """Walk the run in another process that is killed at that point."""
    words = [sys.executable, str(CHILD), str(home), run_id, stage.value, point]
    died = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr


def killed_and_resumed(home: Path, fleet_file: Path, places: Iterable[tuple[Stage, str]]) -> str:
    """What a run ends with that was killed at each place in turn and resumed each time."""
    with opened(home) as app:
        run = started(app, fleet_file)
    for stage, point in places:
        kill_at(home, run.id, stage, point)
        with opened(home) as app:
            left = app.records.run(TENANT, run.id)
            assert left.next_stage() is stage, "what was done before is kept, what was killed is not done"
            if (stage, point) != (Stage.PERSIST, "unsaved"):
                assert app.records.anomalies(TENANT, AnomalyFilter(run=run.id)) == ([], 0)
    with opened(home) as app:
        done = app.walk.advance(TENANT, run.id)
        for record in done.stages.values():
            assert not record.artifact or app.artifacts.open(run.id, record.artifact)
        assert not list((app.settings.artifact_folder / run.id).glob("*.partial-*")), "nothing half-written is left"
        return outcome(app, done)


def test_a_run_killed_while_it_persists_resumes_to_the_same_outcome(fleet_file: Path, unbroken: str, tmp_path: Path) -> None:
    """The last stage, in its middle and when the anomalies are stored but the run does not know: neither lost nor doubled."""
    places = [(Stage.PERSIST, point) for point in POINTS]
    assert killed_and_resumed(tmp_path, fleet_file, places) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("stage", Stage)
def test_a_run_killed_twice_at_a_stage_resumes_to_the_same_outcome(
    fleet_file: Path, unbroken: str, tmp_path: Path, stage: Stage
) -> None:
    """In the middle, and between the artifact and the run's record; each time the same place is reached again."""
    assert killed_and_resumed(tmp_path, fleet_file, [(stage, point) for point in POINTS]) == unbroken


@pytest.mark.slow
def test_a_run_killed_at_every_stage_resumes_to_the_same_outcome(fleet_file: Path, unbroken: str, tmp_path: Path) -> None:
    """One run that dies twelve times on its way."""
    places = [(stage, point) for stage in Stage for point in POINTS]
    assert killed_and_resumed(tmp_path, fleet_file, places) == unbroken
