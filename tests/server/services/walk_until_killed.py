"""A process that walks a run and dies at a named point: python walk_until_killed.py HOME RUN STAGE {middle,unsaved}.

`middle`: at the stage's first report of progress, with a transaction or a half-written file open where it has one.
`unsaved`: when all that the stage makes is made, and the run has not been told.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from server.app import App
from server.domain.run import Run, Stage
from server.settings import Settings


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingRecords:
    """The app's records, but for one stage's outcome, which is never saved."""

    def __init__(self, records: object, stage: Stage) -> None:
        self._records, self._stage = records, stage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def save_run(self, run: Run) -> Run:
        if next(reversed(run.stages)) is self._stage:
            die()
        return self._records.save_run(run)


def main(home: str, run_id: str, stage: str, point: str) -> None:
    app: Any = App(Settings(home=Path(home), threads=1))
    if point == "unsaved":
        app.records = DyingRecords(app.records, Stage(stage))
        app.walk.advance("default", run_id)
    else:
        app.walk.advance("default", run_id, progress=lambda now, _, __: die() if now is Stage(stage) else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
