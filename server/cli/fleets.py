"""The commands of the synthetic fleet: `fleet` writes it to a folder with its truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import AsJson
from server.cli.shown import say, say_json, say_table
from server.cli.walk_options import pairs_of
from server.errors import Unavailable

if TYPE_CHECKING:
    from server.connectors.synthetic import SyntheticSource

Devices = Annotated[int | None, typer.Option(min=1, help="How many devices there are (default: 300).")]
Days = Annotated[int | None, typer.Option(min=2, help="How many days they are watched (default: 30).")]
FleetSeed = Annotated[
    int | None, typer.Option(min=0, help="Seed of the fleet: the same seed makes the same rows (default: 4).")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("fleet", rich_help_panel="Try out")(_fleet)


def _fleet(
    folder: Annotated[Path, typer.Argument(help="Where the files go; made if absent.")],
    plan: Annotated[str, typer.Option(help="Which fleet: demo, easy, medium, hard or null.")] = "demo",
    devices: Devices = None,
    days: Days = None,
    seed: FleetSeed = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Further options: start=2025-03-03, faults=on|off, lookalikes=on|off; may be repeated."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Build a synthetic fleet and export it to a folder as Parquet: telemetry, change log and truth."""
    from server.connectors.synthetic import export_fleet  # noqa: PLC0415 - `--help` need not wait for it

    source = synthetic(plan, fleet_options(devices, days, seed, option))
    try:
        written = export_fleet(source, folder)
    except OSError as error:
        raise Unavailable(
            f"cannot write to {folder}: {error.strerror or error}. Free some space or write elsewhere."
        ) from error
    sizes = [(path, path.stat().st_size) for path in written]
    if json:
        say_json({"fleet": source.name, "files": {path.name: size for path, size in sizes}})
        return
    say_table(source.name, ("file", "KiB"), [(path, f"{size / 1024:,.0f}") for path, size in sizes], right=("KiB",))
    say(f"Next: `anomalyst run {folder / 'telemetry.parquet'}`. Truth is for judging: no stage reads it.")


def fleet_options(devices: int | None, days: int | None, seed: int | None, further: list[str] | None = None) -> dict[str, str]:
    """The connector's options. Raises `InvalidInput` for one that is not `key=value`."""
    counts = {"devices": devices, "days": days, "seed": seed}
    return pairs_of("--option", further or ()) | {name: str(count) for name, count in counts.items() if count is not None}


def synthetic(plan: str, options: dict[str, str]) -> "SyntheticSource":
    """The synthetic fleet of that plan. Raises `InvalidInput` for a plan or option that there is not."""
    from server.connectors.synthetic import SyntheticConnector  # noqa: PLC0415 - `--help` need not wait for it

    return SyntheticConnector().open(plan, options)
