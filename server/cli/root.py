"""All commands in one place, and the one place where an error becomes a message and an exit code."""

import os
import sys
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from server.cli import (
    audit,
    backup,
    baselines,
    bench,
    correcting,
    demo,
    doctor,
    drift,
    evaluate,
    export,
    findings,
    fleets,
    judging,
    prune,
    runs,
    score,
    scorecard,
    serving,
    walking,
)
from server.cli.exit_codes import ENDINGS, FAULT, INTERRUPTED
from server.cli.options import AsJson
from server.cli.shown import plain, say, say_json, say_table
from server.errors import AnomalystError
from server.process import settle


class Commands(TyperGroup):
    """Ends a command that was refused with the message and the error's exit code, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """What the command returns. Raises `typer.Exit` with the exit code for whatever the server refused."""
        try:
            return super().invoke(ctx)
        except AnomalystError as error:
            _complain(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            _complain(error, "stopped")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    cls=Commands,
    name="anomalyst",
    help="An analyst for fleets of devices: learns what is normal for each, finds what is not, and says why.",
    epilog="Start with `anomalyst demo`, or with `anomalyst run FILE`. Exit codes: `anomalyst help exit-codes`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (
    walking, runs, findings, judging, correcting, baselines, drift, audit, score, export, fleets, demo, evaluate, scorecard,
    bench, serving, backup, prune, doctor,
):  # fmt: skip
    part.add_to(app)
for plug_in in entry_points(group="anomalyst.commands"):
    # the agent and the chat, which this package knows nothing of, bring their own, and what `doctor` is to look at of them
    doctor.look_also(plug_in.load()(app))


@app.command("help", rich_help_panel="Help")
def help_on(
    topic: Annotated[Literal["exit-codes"], typer.Argument(help="What to explain.")] = "exit-codes", *, json: AsJson = False
) -> None:
    """Explain the exit codes that commands end with."""
    rows = [(each.code, each.error.__name__ if each.error else "", each.meaning, each.next_step) for each in ENDINGS]
    if json:
        say_json([dict(zip(("code", "error", "meaning", "next_step"), row, strict=True)) for row in rows])
        return
    say_table(f"How {topic.replace('-', ' ')} are meant", ("code", "error", "meaning", "what to do"), rows, right=("code",))


def main() -> None:
    """Run the command line and end the process with its exit code."""
    settle()
    try:
        app()
    except Exception as error:  # a fault of ours is said in a line, not in a page
        if os.environ.get("ANOMALYST_TRACEBACK"):
            raise
        say(f"error: this is a fault of anomalyst: {type(error).__name__}: {error}", err=True)
        say("Set ANOMALYST_TRACEBACK=1 and run the command again to see where, and report it.", err=True)
        sys.exit(FAULT)


def _complain(error: BaseException, what: str = "") -> None:
    typer.echo(plain(what or f"error: {error}"), err=True)
    for note in getattr(error, "__notes__", ()):
        say(note, err=True)
