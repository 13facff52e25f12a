"""The command `score`: any telemetry file in, one row of scores out for each of its rows."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import AsJson, Home, Verb, flat
from server.cli.session import app_of, settings_of
from server.cli.shown import say, say_json
from server.cli.tabular import checked_out, write_rows
from server.cli.walk_options import SourceOptions, WalkOptions, source_spec
from server.cli.walking import Connector, Location, advance, start_run
from server.errors import InvalidInput

if TYPE_CHECKING:
    from server.app import App

_LABEL = "label"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("score", rich_help_panel="Walk")(flat(_score))


def _score(  # noqa: PLR0913 - a command's options are its parameters
    file: Location,
    out: Annotated[Path, typer.Option(help="The file to write, .parquet or .csv.")],
    *,
    walk: WalkOptions,
    source: SourceOptions,
    causes: Annotated[
        bool, typer.Option("--causes", help="Name the metric at fault in every row, not only in anomalies.")
    ] = False,
    connector: Connector = "files",
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Score the rows of FILE and write one row for each: device_id, timestamp, severity, score, is_anomaly, top_metric.

    Severity is 0 to 100, higher is worse; a lower score is more abnormal. Rows that repeat a device's time share its score.
    Rows that cannot be scored, such as those without a device or a time, have severity 0 and no top_metric.
    A column named label is never read. Without --home or ANOMALYST_HOME the stores are temporary: only the scores are left.
    """
    checked_out(out)
    with _short_lived(home) as app:
        spec = source_spec(connector, file, source)
        mapping = app.connectors.open(spec.connector, spec.location, spec.options).mapping
        if _LABEL in mapping.metrics:
            raise InvalidInput("column 'label' is an answer, which scoring never reads. Leave it out of --metric-column.")
        run = start_run(app, "scored", spec, walk, causes=causes)
        run = advance(app, run.id, "score", Verb.SCORE)
        rows = write_rows(out, app.row_scores.batches(run))
        summary = run.stages[next(reversed(run.stages))].summary
    if json:
        say_json({"out": str(out), "rows": rows, "summary": summary})
    else:
        say(f"{out}: {rows:,} rows; {summary}")


@contextmanager
def _short_lived(home: Path | None) -> "Generator[App]":
    """The server over the named home, or over stores of its own that are gone afterwards."""
    settings = settings_of(home)
    if "home" in settings.model_fields_set:
        with app_of(settings) as app:
            yield app
        return
    with TemporaryDirectory(prefix="anomalyst-") as folder:
        unset = {"home": Path(folder), "artifacts": None, "store": settings.store.model_copy(update={"url": None})}
        with app_of(settings.model_copy(update=unset)) as app:
            yield app
