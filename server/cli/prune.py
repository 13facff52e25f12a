"""The command `prune`: removes runs and telemetry by age, or says what it would remove."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import AsJson, Home, duration
from server.cli.session import opened, person
from server.cli.shown import say, say_json, say_table

if TYPE_CHECKING:
    from server.domain.retention import Pruned, Retention
    from server.settings import RetentionSettings


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("prune", rich_help_panel="Serve")(_prune)


def _prune(
    *,
    keep_runs: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Keep this many of the newest runs of each fleet.")
    ] = None,
    older_than: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="AGE", show_default=False, help="Remove runs older than this, such as 90d."),
    ] = None,
    telemetry_older_than: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="AGE", show_default=False, help="Remove telemetry rows older than this."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go and how large it is; remove nothing.")] = False,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Remove old runs, telemetry and uploads, but nothing that an open suggestion, what is shown or what is in force needs.

    Without a bound here those of the settings ANOMALYST_RETENTION__... count. A server that runs has the stores open: ask it
    instead (POST /api/v1/prune).
    """
    with opened(home) as app:
        asked = _retention(app.settings.retention, keep_runs, older_than, telemetry_older_than)
        app.telemetry  # noqa: B018 - a server that has the stores open is to do this itself, so look before anything goes
        done = app.pruning.prune(person(app), asked, dry_run=dry_run)
    if json:
        say_json({**done.model_dump(mode="json"), "bytes": done.bytes})
    else:
        _tell(done)


def _retention(
    configured: "RetentionSettings", keep_runs: int | None, runs: timedelta | None, telemetry: timedelta | None
) -> "Retention":
    """What was asked for; if nothing was, what is configured."""
    from server.domain.retention import Retention  # noqa: PLC0415 - `--help` need not wait for it

    if keep_runs is None and runs is None and telemetry is None:
        return configured.retention
    return Retention(keep_runs=keep_runs, runs_older_than=runs, telemetry_older_than=telemetry)


def _tell(done: "Pruned") -> None:
    verb = "would go" if done.dry_run else "removed"
    if done.runs:
        rows = [(each.run, each.fleet, f"{each.created:%Y-%m-%d}", each.anomalies, _mib(each.bytes)) for each in done.runs]
        say_table(f"Runs: {verb}", ("run", "fleet", "started", "anomalies", "artifacts MiB"), rows)
    if done.kept:
        say_table(
            "Runs that are old, and stay", ("run", "fleet", "why"), [(each.run, each.fleet, each.why) for each in done.kept]
        )
    for each in done.telemetry:
        say(
            f"Fleet {each.fleet}, rows before {each.before:%Y-%m-%d %H:%M} UTC: {each.removed:,} {verb} "
            f"(about {_mib(each.bytes)} MiB); {each.waiting:,} wait for runs that still read them; "
            f"{each.aside:,} rows kept aside {verb}."
        )
    if done.uploads:
        say(f"Uploaded files that nobody ingested in time: {done.uploads:,} {verb}, {_mib(done.upload_bytes)} MiB.")
    if done.left_over:
        say(f"Artifacts that an earlier pruning had left: {_mib(done.left_over)} MiB {verb}.")
    say(f"{len(done.runs)} runs and {sum(each.removed for each in done.telemetry):,} rows {verb}, {_mib(done.bytes)} MiB.")


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f}"
