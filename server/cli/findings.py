"""Commands that read what was found: `anomalies` and `incidents`. They read the SQL store and nothing else."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import AsJson, Home, Limit, OfFleet, Offset, OfRun
from server.cli.session import opened
from server.cli.shown import as_json, moment, number, say, say_json, say_table
from server.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.app import App
    from server.domain.anomaly import Anomaly, Incident

Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only from this time on, such as 2025-03-04T12:00 (UTC unless it says).")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only up to this time (UTC unless it says).")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("anomalies", rich_help_panel="Read")(_anomalies)
    app.command("incidents", rich_help_panel="Read")(_incidents)


def _anomalies(  # noqa: PLR0913 - a command's options are its parameters
    *,
    fleet: OfFleet = None,
    run: OfRun = None,
    device: Annotated[str | None, typer.Option(help="Only of this device.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only of this incident, by id.")] = None,
    metric: Annotated[str | None, typer.Option(help="Only where this metric is most at fault.")] = None,
    min_severity: Annotated[float, typer.Option(min=0, max=100, help="Only of at least this severity.")] = 0,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    offset: Offset = 0,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """List anomalies, worst first: which device, when, which metric, against what."""
    from server.domain.anomaly import AnomalyFilter  # noqa: PLC0415 - `--help` need not wait for it

    wanted = AnomalyFilter(
        fleet=fleet, run=run, device=device, incident=incident, metric=metric, min_severity=min_severity,
        start=time_of("--since", since), end=time_of("--until", until),
    )  # fmt: skip
    with opened(home) as app:
        _known_run(app, run)
        found, total = app.records.anomalies(app.settings.tenant, wanted, limit=limit, offset=offset)
    if json:
        say_json(
            {
                "total": total,
                "anomalies": [{**_fields(each), "band": each.band, "top_metric": each.top_metric} for each in found],
            }
        )
        return
    say_anomalies(found, total, offset)


def _incidents(
    fleet: OfFleet = None, run: OfRun = None, limit: Limit = 20, offset: Offset = 0, json: AsJson = False, home: Home = None
) -> None:
    """List incidents, the anomalies that belong together, ranked by severity times devices."""
    with opened(home) as app:
        _known_run(app, run)
        found, total = app.records.incidents(app.settings.tenant, fleet=fleet, run_id=run, limit=limit, offset=offset)
    if json:
        say_json({"total": total, "incidents": [as_json(incident) for incident in found]})
        return
    say_incidents(found, total, offset)


def say_anomalies(found: "Sequence[Anomaly]", total: int, offset: int = 0) -> None:
    """Print a page of anomalies."""
    heads = ("severity", "band", "device", "time (UTC)", "metric", "value", "typical", "against", "incident", "anomaly")
    rows = [
        (f"{each.severity:.1f}", each.band.value, each.device, moment(each.time), *_reason(each), each.incident, each.id)
        for each in found
    ]
    say_table(
        "Anomalies, worst first",
        heads,
        rows,
        right=("severity", "value", "typical"),
        spare=("anomaly", "against", "band", "incident", "typical"),
    )
    _say_page(len(found), total, offset, "anomalies")


def say_incidents(found: "Sequence[Incident]", total: int, offset: int = 0) -> None:
    """Print a page of incidents."""
    heads = ("severity", "kind", "what", "from (UTC)", "to (UTC)", "devices", "anomalies", "metrics", "incident")
    rows = [
        (
            f"{each.severity:.1f}", each.kind.value, each.title, moment(each.start), moment(each.end),
            f"{len(each.devices):,} of {each.devices_in_scope:,}", f"{each.anomalies:,}", ", ".join(each.metrics), each.id,
        )
        for each in found
    ]  # fmt: skip
    say_table(
        "Incidents, by severity times devices",
        heads,
        rows,
        right=("severity", "devices", "anomalies"),
        spare=("metrics", "kind", "anomalies", "to (UTC)", "devices"),
    )
    _say_page(len(found), total, offset, "incidents")


def time_of(option: str, text: str | None) -> datetime | None:
    """The time that the option names, in UTC where it says no zone. Raises `InvalidInput` for what is no time."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{option} {text!r} is no time. Write 2025-03-04 or 2025-03-04T12:00.") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _known_run(app: "App", run: str | None) -> None:
    """Return if no run is named, or one that there is: a misspelt id shall not look like a run without anomalies."""
    if run is not None:
        app.records.run(app.settings.tenant, run)


def _fields(anomaly: "Anomaly") -> dict[str, object]:
    return anomaly.model_dump(mode="json")


def _reason(anomaly: "Anomaly") -> tuple[str, str, str, str]:
    """The metric at fault with the feature's value, what is typical and whose typical that is."""
    if not anomaly.contributions:
        return "", "", "", ""
    first = anomaly.contributions[0]
    against = f"{first.level.value}, n={first.n:,}" if first.level else "raw features"
    return first.feature, number(first.value), number(first.typical), against


def _say_page(shown: int, total: int, offset: int, what: str) -> None:
    if shown < total:
        say(f"{shown:,} of {total:,} {what}, from {offset + 1:,}. --limit and --offset show others, --json prints them whole.")
    else:
        say(f"{total:,} {what}." if total else f"No {what}. `anomalyst runs` shows how far the runs are.")
