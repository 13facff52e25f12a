"""Options that several commands share, each with its one sentence; dataclasses of them become parameters by `flat`."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from server.domain.duration import duration as length_of

Home = Annotated[
    Path | None,
    typer.Option(envvar="ANOMALYST_HOME", show_default=False, help="Folder of the stores (default: the user's data folder)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id; `anomalyst runs` lists them.")]
OfRun = Annotated[str | None, typer.Option("--run", help="Only this run (default: the newest of each fleet).")]
OfFleet = Annotated[str | None, typer.Option("--fleet", help="Only this fleet (default: all).")]
ToFleet = Annotated[str, typer.Option("--fleet", help="Name of the fleet that the telemetry belongs to.")]
OneFleet = Annotated[str, typer.Option("--fleet", help="Name of the fleet.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Most rows to show.")]
Offset = Annotated[int, typer.Option(min=0, help="Rows to pass over first.")]


class Verb(StrEnum):
    """The stages, spelled as commands."""

    INGEST = "ingest-telemetry"
    FEATURES = "engineer-features"
    BASELINES = "compute-baselines"
    TRAIN = "train-detector"
    SCORE = "score-telemetry"
    PERSIST = "persist-anomalies"


def duration(text: str) -> timedelta:
    """A span such as 90s, 30m, 12h, 1d or 1h30m. Raises `typer.BadParameter` for anything else."""
    try:
        return length_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a dataclass of options replaced by that dataclass's fields, given by keyword."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        kept = parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += _of_group(groups[name]) if name in groups else [kept]

    @wraps(command)
    def gathered(**given: Any) -> None:
        told: dict[str, Any] = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)}) for name, kind in groups.items()
        }
        command(**told, **given)

    gathered.__dict__.pop("__wrapped__", None)
    gathered.__dict__["__signature__"] = inspect.Signature(parameters)
    gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return gathered


def _of_group(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    ]
