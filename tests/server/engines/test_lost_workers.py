"""Workers that die in the middle of a stage: the tasks are tried again elsewhere and write the same artifacts."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from server.app import App
from server.domain.run import Run, SourceSpec, Stage
from server.domain.telemetry import Fleet
from server.pipeline.parts import files_of, read_columns

WORKER, EXECUTOR = "-m server.engines.spark.daemon", "CoarseGrainedExecutorBackend"
KILLED = {Stage.FEATURES: WORKER, Stage.BASELINES: EXECUTOR, Stage.SCORE: WORKER}


def below(root: int) -> dict[int, str]:
    """Commands of all processes that descend from one, by id."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    mine = {root}
    while more := {pid for pid, parent in parents.items() if parent in mine and pid not in mine}:
        mine |= more
    return {pid: commands[pid] for pid in mine - {root}}


class Reaper(Thread):
    """Kills one process below this one that has that word in its command, a while after the first has shown up."""

    def __init__(self, word: str) -> None:
        super().__init__(daemon=True)
        self.word, self.killed, self._over = word, 0, Event()

    def run(self) -> None:
        while not self.killed and not self._over.wait(0.3):
            found = [pid for pid, command in below(os.getpid()).items() if self.word in command]
            with suppress(ProcessLookupError, ValueError):
                # the youngest of a daemon's processes is a worker, not the daemon itself
                os.kill(max(found), signal.SIGKILL)
                self.killed = max(found)

    def stop(self) -> None:
        self._over.set()
        self.join()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_workers_and_an_executor_leave_no_trace_in_the_outcome(
    needs_spark: None,  # noqa: ARG001 - skips
    embedded: Any,
    opened: Callable[..., App],
    fleet_file: Path,
    tmp_path: Path,
) -> None:
    """A Python worker is killed in two stages and an executor in one; the walk is the embedded engine's all the same."""
    before = import_module("pyspark.sql").SparkSession.getActiveSession()
    if before is not None:  # one JVM has one session
        before.stop()
    app = opened(tmp_path, "spark", master="local-cluster[2,1,1024]", part_rows=1300)
    source = SourceSpec(connector="files", location=str(fleet_file))
    run: Run = app.walk.start(Fleet(name="shop"), source, embedded.run.settings)
    for stage in Stage:
        reaper = Reaper(KILLED[stage]) if stage in KILLED else None
        if reaper:
            reaper.start()
        run = app.walk.run_stage("default", run.id, stage)
        if reaper:
            reaper.stop()
            assert reaper.killed, f"nothing was killed in {stage.value}"
    stages = app.walk.stages
    for found, expected in ((stages.feature_table(run).path, embedded.table.path), (stages.scores(run), embedded.scores)):
        mine, theirs = (read_columns(path, pq.read_schema(files_of(expected)[0]).names[:8]) for path in (found, expected))
        assert mine.num_rows == theirs.num_rows
        for name in mine.column_names:
            np.testing.assert_array_equal(mine[name].to_numpy(), theirs[name].to_numpy())
    app.engine.cluster.close()  # type: ignore[attr-defined]
