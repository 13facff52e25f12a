"""Commands that read runs: `runs` and `show`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import typer

from server.cli.options import AsJson, Home, Limit, OfFleet, Offset, RunId
from server.cli.session import opened
from server.cli.shown import as_json, moment, say, say_json, say_table, took
from server.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from server.app import App
    from server.domain.run import Run, Stage

_RUNS_TO_SEARCH = 1_000


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("runs", rich_help_panel="Read")(_runs)
    app.command("show", rich_help_panel="Read")(_show)


def _runs(fleet: OfFleet = None, limit: Limit = 20, offset: Offset = 0, json: AsJson = False, home: Home = None) -> None:
    """List runs, newest first."""
    with opened(home) as app:
        found = app.records.runs(app.settings.tenant, fleet=fleet, limit=limit, offset=offset)
    if json:
        say_json([as_json(run) for run in found])
        return
    rows = [(run.id, run.fleet.name, moment(run.created), run.source.location, where_it_stands(run)) for run in found]
    say_table(
        "Runs, newest first", ("run", "fleet", "started (UTC)", "source", "next"), rows, spare=("source", "started (UTC)")
    )


def _show(run: RunId, json: AsJson = False, home: Home = None) -> None:
    """Show a run: its source, what each stage did, and what comes next."""
    with opened(home) as app:
        found = app.records.run(app.settings.tenant, run)
    say_run(found, json=json)


def say_run(run: "Run", *, json: bool = False) -> None:
    """Print a run."""
    if json:
        following = run.next_stage()
        fields = run.model_dump(mode="json")
        say_json({**fields, "complete": following is None, "next_stage": following.value if following else None})
        return
    say_table(f"Run {run.id}", ("what", "value"), list(_about(run)))
    say_table(
        "Stages", ("stage", "state", "rows", "took", "summary"), list(_stages(run)), right=("rows", "took"), spare=("took",)
    )
    for record in run.stages.values():
        if record.fallback:
            say(f"Raw features are used instead of baselines: {record.fallback}")
            break
    say(_next_step(run))


def where_it_stands(run: "Run") -> str:
    """The verb that is to be called next, or that the walk is complete."""
    following = run.next_stage()
    return following.value.replace("_", "-") if following else "complete"


def _about(run: "Run") -> Iterator[tuple[str, str]]:
    yield "fleet", run.fleet.name
    yield "started (UTC)", moment(run.created)
    yield "source", f"{run.source.connector}: {run.source.location}"
    if run.source.options:
        yield "source options", ", ".join(f"{key}={value}" for key, value in run.source.options.items())
    chosen = run.settings.model_dump(mode="json", exclude_defaults=True)
    if chosen:
        yield "settings", ", ".join(f"{name}={value}" for name, value in _leaves(chosen))


def _leaves(settings: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(cast("Mapping[str, object]", value))
        else:
            yield name, value


def _stages(run: "Run") -> Iterator[tuple[str, str, str, str, str]]:
    from server.domain.run import Stage  # noqa: PLC0415 - `--help` need not wait for it

    for stage in Stage:
        record = run.stages.get(stage)
        if record is None:
            yield stage.value, "missing", "", "", ""
        else:
            spent = took(record.finished - record.started)
            yield stage.value, _state(run, stage), f"{record.rows:,}", spent, record.error or record.summary


def _state(run: "Run", stage: "Stage") -> str:
    return "failed" if run.done(stage) is None else "done" if run.is_fresh(stage) else "stale"


def _next_step(run: "Run") -> str:
    if run.next_stage() is None:
        return f"Next: `anomalyst incidents --run {run.id}`, `anomalyst anomalies --run {run.id}`."
    return f"Next: `anomalyst {where_it_stands(run)} {run.id}`, or `anomalyst advance {run.id}` for all that is left."


def newest_scored(app: "App", run_id: str | None, fleet: str | None, connector: str | None = None) -> "Run":
    """The named run, else the newest one that has scores. Raises `NotFound` or `InvalidInput` if there is none."""
    from server.domain.run import Stage  # noqa: PLC0415 - `--help` need not wait for it

    if run_id is not None:
        run = app.records.run(app.settings.tenant, run_id)
        if run.done(Stage.SCORE) is None:
            raise InvalidInput(f"run {run_id} has no scores yet. `anomalyst advance {run_id}` makes them.")
        return run
    for run in app.records.runs(app.settings.tenant, fleet=fleet, limit=_RUNS_TO_SEARCH):
        if run.done(Stage.SCORE) and connector in (None, run.source.connector):
            return run
    raise NotFound("run with scores in fleet", fleet or "any", listed_by="`anomalyst runs`")
