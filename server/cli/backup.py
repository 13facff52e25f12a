"""The commands `backup` and `restore`: everything in one file, and back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import AsJson, Home
from server.cli.session import app_of, audited, opened, settings_of
from server.cli.shown import say, say_json
from server.errors import StoreBusy

if TYPE_CHECKING:
    from server.app import App
    from server.services.archive import Manifest

_PANEL = "Serve"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("backup", rich_help_panel=_PANEL)(_backup)
    app.command("restore", rich_help_panel=_PANEL)(_restore)


def _backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Write records, telemetry and artifacts to one file with checksums. A server that runs is asked for one over HTTP."""
    from server.services.backup import back_up  # noqa: PLC0415 - `--help` need not wait for it

    with opened(home) as app:
        _hold(app, "Ask it for a backup: POST /api/v1/backup")
        with audited(app, "backup", file.name):
            manifest = back_up(app.records, app.telemetry, app.artifacts, file, datetime.now(UTC))
        on_server = app.places.records is None
    _tell(manifest, file, "written", json=json)
    if on_server and not json:
        say("The records are on a database server: back them up with its own tool, before this (docs/operations.md).")


def _restore(
    file: Annotated[Path, typer.Argument(help="A file that `anomalyst backup` wrote.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Move stores that are there aside, and keep them.")] = False,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Verify a backup to the last byte, put it in place, and make the memory of decisions anew. Stop the server first."""
    from server.services.backup import restore  # noqa: PLC0415 - `--help` need not wait for it

    settings = settings_of(home)
    with app_of(settings) as app:
        if app.places.telemetry.exists():
            _hold(app, "Stop it, restore, and start it again")
    aside = settings.home / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    manifest = restore(file, app.places, aside, force=force)
    with app_of(settings) as app:
        with audited(app, "restore", file.name, made=manifest.made):
            app.records.verify_audit(settings.tenant)
        remembered = app.recollection.rebuild()
    _tell(manifest, file, "restored", json=json)
    if not json:
        say(f"{remembered:,} decisions remembered anew." + (f" What was there is in {aside}." if aside.exists() else ""))


def _hold(app: "App", instead: str) -> None:
    """Open what a server would have open, which shows whether one has. Raises `StoreBusy` saying what to do."""
    try:
        app.telemetry  # noqa: B018 - opening it is the check
    except StoreBusy as error:
        raise StoreBusy(f"a server has the stores open. {instead} (docs/operations.md).") from error


def _tell(manifest: "Manifest", file: Path, done: str, *, json: bool) -> None:
    if json:
        say_json({"file": str(file), **manifest.model_dump(mode="json")})
        return
    say(f"{file}: {len(manifest.members):,} files, {manifest.size / (1 << 20):,.1f} MiB {done}, every checksum right.")
    for name in manifest.left_out:
        say(f"Left out, because it was damaged already: artifact {name}")
