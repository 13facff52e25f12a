"""P2, P3: killed at the Nth write of any file, by the system and not by us, a stage is whole or absent and the run resumes."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.run import SourceSpec, Stage
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.settings import Settings

QUICK = WalkSettings(detector=DetectorSettings(n_estimators=10, contamination=0.02))
CALLS = "write,writev,pwrite64,pwritev,fsync,fdatasync,rename,renameat,renameat2,ftruncate"
WALK = """
import sys
from pathlib import Path
from server.app import App
from server.settings import Settings
with App(Settings(home=Path(sys.argv[1]), threads=1, _env_file=None)) as app:
    app.walk.advance("default", "shop-1")
"""


def opened(home: Path) -> App:
    return App(Settings(home=home, threads=1, _env_file=None))  # pyright: ignore[reportCallIssue]


def started(home: Path, file: Path) -> None:
    with opened(home) as app:
        source = SourceSpec(connector="files", location=str(file))
        app.walk.start(Fleet(name="shop"), source, QUICK, run_id="shop-1")


def outcome(home: Path) -> tuple[object, ...]:
    """What the run found, once it is walked to its end."""
    with opened(home) as app:
        run = app.walk.advance("default", "shop-1")
        for record in run.stages.values():
            assert not record.artifact or app.artifacts.open(run.id, record.artifact)
        found, count = app.records.anomalies("default", AnomalyFilter(run=run.id), limit=1000)
        assert len(found) == count > 0
        return run.stages[Stage.SCORE].digest, sorted(each.model_dump_json() for each in found)


def killed_at(home: Path, number: int) -> bool:
    """Walk on until the Nth of these system calls of a thread; whether it came to that."""
    strace = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={CALLS}"]  # with --seccomp-bpf nothing is injected
    inject = ["-e", f"inject={CALLS}:signal=KILL:when={number}"]
    done = subprocess.run(
        [*strace, *inject, sys.executable, "-c", WALK, str(home)], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode in {0, 128 + signal.SIGKILL, -signal.SIGKILL}, done.stderr[-2000:]
    return done.returncode != 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (apt-get install strace)")
def test_killed_at_the_nth_write_the_run_resumes_to_what_an_unbroken_one_ends_with(fleet_file: Path, tmp_path: Path) -> None:
    """A new run for each N, which dies up to three times at that write; between two deaths nothing false is shown."""
    started(tmp_path / "unbroken", fleet_file)
    unbroken = outcome(tmp_path / "unbroken")
    deaths = 0
    for number in (1, 8, 30):
        home = tmp_path / f"home-{number}"
        started(home, fleet_file)
        for _ in range(3):
            if not killed_at(home, number):
                break
            deaths += 1
            with opened(home) as app:
                run = app.records.run("default", "shop-1")
                shown = app.records.anomalies("default", AnomalyFilter(run="shop-1"))[1]
                assert shown in {0, len(unbroken[1])}, "anomalies are all there or none is"
                for record in run.stages.values():
                    assert not record.artifact or app.artifacts.open(run.id, record.artifact)
        assert outcome(home) == unbroken, f"killed at write {number}"
    assert deaths >= 6
