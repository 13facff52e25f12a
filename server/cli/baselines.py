"""The command `baselines`: what is normal, for whom."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from server.cli.options import AsJson, Home, Limit, Offset, OneFleet
from server.cli.session import fleet_of, opened
from server.cli.shown import as_json, moment, number, say, say_json, say_table
from server.errors import NotFound

if TYPE_CHECKING:
    from server.app import App
    from server.domain.baseline import BaselineVersion


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("baselines", rich_help_panel="Read")(_baselines)


def _baselines(  # noqa: PLR0913 - a command's options are its parameters
    *,
    fleet: OneFleet = "default",
    version: Annotated[int | None, typer.Option(min=1, help="Baseline version (default: the one in force).")] = None,
    level: Annotated[
        Literal["global", "cohort", "site", "device"] | None, typer.Option(help="Only groups of this level.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Only this group, such as a device's name.")] = None,
    feature: Annotated[str | None, typer.Option(help="Only this feature, such as OfflineTime_mean.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """List what is normal: median and robust scale of each feature for each group."""
    from server.domain.baseline import Level  # noqa: PLC0415 - `--help` need not wait for it

    with opened(home) as app:
        known = version_of(app, fleet, version)
        wanted = Level(level) if level else None
        found = app.records.baselines(
            known.fleet, known.version, level=wanted, group=group, feature=feature, limit=limit, offset=offset
        )
    if json:
        say_json({"version": as_json(known), "baselines": [as_json(each) for each in found]})
        return
    rows = [
        (each.level.value, each.group, each.feature, number(each.median), number(each.scale), f"{each.n:,}") for each in found
    ]
    groups = ", ".join(f"{count:,} {each.value}" for each, count in known.groups.items())
    title = f"Baselines of fleet {fleet}, version {known.version} of {moment(known.created)} UTC ({known.reason}): {groups}"
    say_table(title, ("level", "group", "feature", "median", "scale", "n"), rows, right=("median", "scale", "n"))
    say("Sizes are in logarithms where the catalogue says so. --limit, --offset, --level, --group and --feature show others.")


def version_of(app: "App", fleet: str, version: int | None) -> "BaselineVersion":
    """That version of the fleet's baselines, or the one in force. Raises `NotFound` if there is none."""
    known = app.records.baseline_version(fleet_of(app, fleet), version)
    if known is None:
        kind = "baselines of fleet" if version is None else f"baseline version {version} of fleet"
        fleets = sorted({run.fleet.name for run in app.records.runs(app.settings.tenant)})
        raise NotFound(kind, fleet, fleets, listed_by="`anomalyst runs`")
    return known
