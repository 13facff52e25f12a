"""The command `bench`: our walk against the obvious way and other libraries, in one run on this machine."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from server.cli.options import AsJson
from server.cli.shown import say, say_json, say_table

_LOST = 1


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("bench", rich_help_panel="Try out")(_bench)


def _bench(
    *,
    size: Annotated[
        Literal["smoke", "small", "full", "large"],
        typer.Option(help="150 thousand, 200 thousand, 1 million or 10 million rows."),
    ] = "small",
    out: Annotated[Path | None, typer.Option(help="Folder to write the JSON and the plot to.")] = None,
    json: AsJson = False,
) -> None:
    """Measure against pandas with scikit-learn, PyOD, river and pysad; ends with 1 if a ratio is lost."""
    from server.bench.runner import run_bench, summary  # noqa: PLC0415 - `--help` need not wait for it

    report = run_bench(size, out, lambda line: say(line, err=True))
    if json:
        say_json(asdict(report))
    else:
        say_table(f"Benchmark, size {size}", ("what", "ours", "theirs", "ratio", "owed", ""), summary(report))
    if report.lost:
        say(f"lost: {', '.join(row.name for row in report.lost)}", err=True)
        raise typer.Exit(_LOST)
