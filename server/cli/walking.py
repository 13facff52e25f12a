"""Commands that walk: `start`, `run`, `advance` and one for each stage."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import AsJson, Home, RunId, ToFleet, Verb, flat
from server.cli.progress import watched
from server.cli.runs import say_run
from server.cli.session import audited, fleet_of, opened, walk_of
from server.cli.walk_options import SourceOptions, WalkOptions, source_spec, walk_settings
from server.errors import AnomalystError, InvalidInput

if TYPE_CHECKING:
    from server.app import App
    from server.domain.run import Run, SourceSpec, Stage

Location = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A CSV or Parquet file, a folder of them, file.duckdb::table, or what the connector opens."
    ),
]
Connector = Annotated[str, typer.Option(help="What opens FILE; `anomalyst doctor` lists connectors.")]
_VERBS = {
    Verb.INGEST: "Store the run's telemetry and freeze the window that the rest of the walk reads.",
    Verb.FEATURES: "Make rolling features of every row.",
    Verb.BASELINES: "Estimate what is normal for the fleet, its cohorts, sites and devices.",
    Verb.TRAIN: "Train the detector and put its threshold.",
    Verb.SCORE: "Score every row and name the metrics at fault.",
    Verb.PERSIST: "Store the anomalies and their incidents.",
}
_PANEL = "Walk"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("run", rich_help_panel=_PANEL)(flat(_run))
    app.command("start", rich_help_panel=_PANEL)(flat(_start))
    app.command("advance", rich_help_panel=_PANEL)(_advance)
    for verb, about in _VERBS.items():
        app.command(verb.value, help=about, rich_help_panel=_PANEL)(_stage_command(verb))


def _run(
    file: Location,
    walk: WalkOptions,
    source: SourceOptions,
    connector: Connector = "files",
    fleet: ToFleet = "default",
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Start a run on FILE and walk it to the end: telemetry in, anomalies and incidents out."""
    with opened(home) as app:
        run = start_run(app, fleet, source_spec(connector, file, source), walk)
        say_run(advance(app, run.id, "run"), json=json)


def _start(
    file: Location,
    walk: WalkOptions,
    source: SourceOptions,
    connector: Connector = "files",
    fleet: ToFleet = "default",
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Start a run on FILE without doing a stage yet, and print its id."""
    with opened(home) as app:
        say_run(start_run(app, fleet, source_spec(connector, file, source), walk), json=json)


def _advance(
    run: RunId,
    to: Annotated[Verb, typer.Option(help="The stage to go to.")] = Verb.PERSIST,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Do exactly what is missing or stale in a run, up to and including a stage."""
    with opened(home) as app:
        say_run(advance(app, run, "advance", to), json=json)


def _stage_command(verb: Verb) -> Callable[..., None]:
    def command(run: RunId, json: AsJson = False, home: Home = None) -> None:
        with opened(home) as app, watched() as report:
            stage = stage_of(verb)
            with audited(app, stage.value, run):
                done = walk_of(app).run_stage(app.settings.tenant, run, stage, report)
        say_run(done, json=json)

    return command


def stage_of(verb: Verb) -> "Stage":
    """The stage that a verb of the command line spells."""
    from server.domain.run import Stage  # noqa: PLC0415 - `--help` need not wait for it

    return Stage(verb.value.replace("-", "_"))


def start_run(app: "App", fleet: str, source: "SourceSpec", walk: WalkOptions | None = None, *, causes: bool = False) -> "Run":
    """A new run, audited. A connector or detector that there is none of is refused before anything is stored."""
    from server.connectors.locations import whole  # noqa: PLC0415 - `--help` need not wait for it

    settings = walk_settings(walk or WalkOptions(), causes=causes)
    app.detectors.get(settings.detector.name)
    if app.connectors.opens_paths(source.connector):
        source = source.model_copy(update={"location": whole(source.location)})
    run = walk_of(app).start(fleet_of(app, fleet), source, settings)
    with audited(app, "start_run", run.id, source=source.model_dump(), settings=settings.model_dump(mode="json")):
        return run


def advance(app: "App", run_id: str, action: str, to: Verb = Verb.PERSIST) -> "Run":
    """The run walked to a stage, watched and audited. An error says how to go on."""
    try:
        with watched() as report, audited(app, action, run_id, to=to.value):
            return walk_of(app).advance(app.settings.tenant, run_id, stage_of(to), report)
    except (AnomalystError, KeyboardInterrupt) as error:
        error.add_note(_how_to_go_on(app, run_id, error))
        raise


def _how_to_go_on(app: "App", run_id: str, error: BaseException) -> str:
    from server.domain.run import Stage  # noqa: PLC0415 - `--help` need not wait for it

    refused = isinstance(error, InvalidInput) and app.records.run(app.settings.tenant, run_id).done(Stage.INGEST) is None
    if refused:  # a run keeps its source and options: going on asks for the same again
        return (
            f"Nothing was stored. Once the file itself is mended, `anomalyst advance {run_id}` goes on; for another file or "
            "other options start another run."
        )
    return f"Run {run_id} keeps what is done. `anomalyst advance {run_id}` goes on, `anomalyst show {run_id}` tells more."
