"""Applies a suggestion and dies by SIGKILL at a point of it: at the first word of a stage, or before the Nth write to SQL.

usage: apply_until_killed.py HOME SUGGESTION POINT      POINT: a stage, or write-N
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from server.app import App
from server.domain.identity import Principal
from server.domain.run import Stage
from server.settings import CorrectionSettings, Settings

home, suggestion, point = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
writes = 0


def die() -> None:
    """End at once, as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_stage(stage: Stage, _: int, __: int | None) -> None:
    """Die at the first word of the stage that is named."""
    if stage.value == point:
        die()


def at_write(_: Any, __: Any, statement: str, *___: Any) -> None:
    """Die before the write that is named."""
    global writes  # noqa: PLW0603 - a script's own counter
    if statement.lstrip()[:6].upper() in {"INSERT", "UPDATE", "DELETE"}:
        writes += 1
        if point == f"write-{writes}":
            die()


with App(Settings(home=home, threads=1, corrections=CorrectionSettings(), _env_file=None)) as app:  # pyright: ignore
    corrections = app.corrections
    event.listen(app.records._database.engine, "before_cursor_execute", at_write)
    corrections.apply(Principal(name="ann"), suggestion, at_stage)
print("survived")  # noqa: T201 - the test reads it
