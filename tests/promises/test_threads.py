"""P12: whatever order and however many at once, the guards let only the walk happen."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from server.app import App
from server.domain.run import SourceSpec, Stage
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.errors import RunBusy, StageNotReady, Unavailable
from server.settings import Settings

QUICK = WalkSettings(detector=DetectorSettings(n_estimators=10, contamination=0.02))


@pytest.mark.slow
def test_six_threads_calling_verbs_at_random_end_in_the_walk(fleet_file: Path, tmp_path: Path) -> None:
    """Each call is done, refused as not ready, or told that the run is busy; what then stands was made in order."""
    with App(Settings(home=tmp_path, threads=1, _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
        source = SourceSpec(connector="files", location=str(fleet_file))
        alone, together = (app.walk.start(Fleet(name=name), source, QUICK) for name in ("alone", "together"))
        expected = app.walk.advance("default", alone.id).stages[Stage.SCORE].digest
        told: list[str] = []

        def call_verbs(seed: int) -> None:
            chance = np.random.default_rng(seed)
            for stage in chance.choice(list(Stage), 12):
                try:
                    app.walk.run_stage("default", together.id, Stage(stage))
                    told.append("done")
                except (StageNotReady, RunBusy, Unavailable) as error:
                    told.append(type(error).__name__)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(call_verbs, range(6)))
        run = app.walk.advance("default", together.id)
        assert run.next_stage() is None
        assert run.stages[Stage.SCORE].digest == expected
        assert len(told) == 72
        assert {"done", "StageNotReady"} <= set(told)
