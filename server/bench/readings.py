"""A walked fleet's next readings, for the one-row path."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.app import App
from server.domain.run import Stage
from server.pipeline.baselines import RawFallback
from server.pipeline.features import plan_features
from server.pipeline.one_row import OneRowScorer
from server.pipeline.rings import DeviceWindows
from server.pipeline.score import Scoring
from server.settings import Settings

_HOUR = timedelta(hours=1) // timedelta(microseconds=1)

NextReadings = tuple[OneRowScorer, list[str], list[int], npt.NDArray[np.float64]]


def settings_at(home: Path) -> Settings:
    """The usual settings, whatever the environment says, with everything kept below `home`."""
    own: dict[str, Any] = {"home": home, "store": {"url": None}, "artifacts": None, "catalogue": None}
    return Settings(**own)


def next_readings(home: Path, run_id: str, count: int) -> NextReadings:
    """A scorer that has seen the run's telemetry, then device, time and values of readings that follow, devices in turns."""
    with App(settings_at(home)) as app:
        stages, run = app.walk.stages, app.records.run("default", run_id)
        snapshot, members = stages.snapshot(run), stages.members(run)
        plan = plan_features(snapshot, run.settings.features)
        windows = DeviceWindows.from_blocks(app.telemetry.blocks(snapshot, rows=100_000), plan, members)
        baselines = stages.baseline_set(run)
        if isinstance(baselines, RawFallback):
            raise TypeError(f"run {run_id} has no baselines: {run.done(Stage.BASELINES)}")
        scorer = OneRowScorer(windows, Scoring(stages.trained(run), baselines))
    begin, devices = int(windows.rings[0].max()) + _HOUR, len(members.devices)
    turn = np.arange(count)
    times = (begin + turn // devices * _HOUR + turn % devices).tolist()
    names = [members.devices[at % devices] for at in range(count)]
    # each device lives its last day again: values in another order would not be its rhythm, and most would be flagged
    taken, capacity = windows.rings[2][:, 0], windows.rings[0].shape[1]
    row = taken[turn % devices] - 24 + turn // devices % 24
    values = windows.rings[1][0][turn % devices, row % capacity]
    return scorer, names, times, values
