"""Progress of long work: a bar a stage with its rate, on stderr, and only where a person watches."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, Task

Report = Callable[[str, int, int | None], None]
"""Called with (what is done, rows done, rows in all if known)."""


@contextmanager
def watched() -> Generator[Report]:
    """A report that draws a bar for each thing done, or nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _unwatched
        return
    with _bars() as bars:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                _finish(bars)
                tasks[what] = bars.add_task(what.replace("_", " "), total=None)
            bars.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type] - an index of a task is an int

        yield report
        _finish(bars)


def _unwatched(what: str, done: int, total: int | None) -> None:  # noqa: ARG001 - nobody watches
    return


def _finish(bars: "Progress") -> None:
    """Whatever is still open has ended: the next thing has begun."""
    for task in bars.tasks:
        bars.update(task.id, total=task.completed, completed=task.completed)


def _bars() -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - as all of rich, only when it draws
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(ProgressColumn):
        """Rows done, of how many, and how many a second."""

        def render(self, task: "Task") -> Text:
            speed = task.finished_speed or task.speed
            of = f" of {task.total:,.0f}" if task.total and not task.finished else ""
            rate = f", {speed:,.0f} a second" if speed else ""
            return Text(f"{task.completed:,.0f}{of} rows{rate}" if task.completed else "")

    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), Rate(), TimeElapsedColumn(), console=Console(stderr=True)
    )
