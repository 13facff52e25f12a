"""The options of a walk and of its source, and what they mean to the walk: nothing set is nothing said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import duration
from server.errors import InvalidInput

if TYPE_CHECKING:
    from server.domain.run import SourceSpec
    from server.domain.settings import WalkSettings

_FITTING, _COLUMNS = "What is normal, what is found", "Where the telemetry is"


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """Each field is one of `WalkSettings`' (`OPTION_OF` names those spelled otherwise); unset ones keep their default there."""

    window: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            rich_help_panel=_FITTING,
            help="Length of the rolling window, such as 12h (default: 12 sampling intervals).",
        ),
    ] = None
    lag: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            rich_help_panel=_FITTING,
            help="How far back changes are taken (default: one window; 24h is day over day).",
        ),
    ] = None
    min_rows: Annotated[
        int | None, typer.Option(rich_help_panel=_FITTING, help="Rows at which a baseline level starts to count (default: 25).")
    ] = None
    profile_days: Annotated[
        int | None,
        typer.Option(rich_help_panel=_FITTING, help="Days of history at which an hour-of-day profile is taken (default: 7)."),
    ] = None
    keep_baselines: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            rich_help_panel=_FITTING,
            help="How far telemetry may go on before baselines and detector are estimated anew; until then only new rows are "
            "scored, such as 7d (default: every run estimates).",
        ),
    ] = None
    detector: Annotated[
        str | None,
        typer.Option(rich_help_panel=_FITTING, help="The detector to train; `anomalyst doctor` lists them (default: hybrid)."),
    ] = None
    contamination: Annotated[
        float | None,
        typer.Option(rich_help_panel=_FITTING, help="Share of rows to flag, fixed at calibration (default: 0.03)."),
    ] = None
    alerts_per_day: Annotated[
        float | None,
        typer.Option(rich_help_panel=_FITTING, help="Anomalies a day to allow the fleet; replaces --contamination."),
    ] = None
    event_opens: Annotated[
        float | None,
        typer.Option(rich_help_panel=_FITTING, help="Severity that one row of an event must reach (default: 50.0)."),
    ] = None
    event_rows: Annotated[
        int | None, typer.Option(rich_help_panel=_FITTING, help="Anomalies that make an event (default: 3).")
    ] = None
    event_alone: Annotated[
        float | None, typer.Option(rich_help_panel=_FITTING, help="Severity at which fewer make one, too (default: 70.0).")
    ] = None
    event_gap: Annotated[
        int | None,
        typer.Option(rich_help_panel=_FITTING, help="Sampling intervals that anomalies of an event may be apart (default: 3)."),
    ] = None
    domain_weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DOMAIN=WEIGHT",
            rich_help_panel=_FITTING,
            help="How much a metric domain counts, such as battery=2 (0 silences it); may be repeated.",
        ),
    ] = None
    n_estimators: Annotated[int | None, typer.Option(rich_help_panel=_FITTING, help="Trees in the forest (default: 300).")] = (
        None
    )
    max_samples: Annotated[
        int | None, typer.Option(rich_help_panel=_FITTING, help="Rows that each tree sees (default: 256).")
    ] = None
    min_variance: Annotated[
        float | None, typer.Option(rich_help_panel=_FITTING, help="Columns that vary less are left out (default: 1e-06).")
    ] = None
    seed: Annotated[
        int | None, typer.Option(rich_help_panel=_FITTING, help="Seed of everything that is drawn (default: 42).")
    ] = None
    fit_split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT",
            rich_help_panel=_FITTING,
            help="Learn only from rows whose split column says this, such as train (default: from all rows).",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which connector opens the location, and what it is told."""

    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            rich_help_panel=_COLUMNS,
            help="An option of the connector, such as devices=50; may be repeated.",
        ),
    ] = None
    device_column: Annotated[str | None, typer.Option(rich_help_panel=_COLUMNS, help="Column that names the device.")] = None
    device_name: Annotated[
        str | None,
        typer.Option(rich_help_panel=_COLUMNS, help="Name of the one device that all rows are of, where no column names it."),
    ] = None
    time_column: Annotated[
        str | None, typer.Option(rich_help_panel=_COLUMNS, help="Column of event times (UTC unless they say).")
    ] = None
    arrival_column: Annotated[str | None, typer.Option(rich_help_panel=_COLUMNS, help="Column of arrival times.")] = None
    cohort_column: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=_COLUMNS, help="Column whose values devices of a kind share, such as the model; may be repeated."
        ),
    ] = None
    store_column: Annotated[str | None, typer.Option(rich_help_panel=_COLUMNS, help="Column that names the store or site.")] = (
        None
    )
    customer_column: Annotated[str | None, typer.Option(rich_help_panel=_COLUMNS, help="Column that names the customer.")] = (
        None
    )
    split_column: Annotated[
        str | None, typer.Option(rich_help_panel=_COLUMNS, help="Column that says which rows to learn from.")
    ] = None
    metric_column: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=_COLUMNS, help="Column to watch, may be repeated (default: all numbers that are no labels)."
        ),
    ] = None
    ignore_column: Annotated[
        list[str] | None, typer.Option(rich_help_panel=_COLUMNS, help="Column to leave out; may be repeated.")
    ] = None


OPTION_OF: Mapping[str, str] = {
    "name": "detector",
    "random_state": "seed",
    "domain_weights": "domain_weight",
    "keep_for": "keep_baselines",
}
"""Settings whose option has another name."""
_ROLE_OF = {
    "device": "device_column",
    "device_name": "device_name",
    "time": "time_column",
    "arrival": "arrival_column",
    "cohort": "cohort_column",
    "store": "store_column",
    "customer": "customer_column",
    "split": "split_column",
    "metrics": "metric_column",
    "ignore": "ignore_column",
}


def walk_settings(options: WalkOptions, *, causes: bool = False) -> "WalkSettings":
    """The settings that the options ask for. Raises `InvalidInput` naming the option that is out of bounds."""
    from pydantic import ValidationError  # noqa: PLC0415 - `--help` need not wait for it

    from server.domain.settings import WalkSettings  # noqa: PLC0415 - as above

    setting_of = {option: name for name, option in OPTION_OF.items()}
    told = {setting_of.get(each.name, each.name): getattr(options, each.name) for each in fields(options)}
    told["domain_weights"] = weights_of("--domain-weight", options.domain_weight or ())
    told["name_every_row"] = causes
    try:
        return WalkSettings.from_flat({name: value for name, value in told.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors()[0]
        names = [OPTION_OF.get(str(part), str(part)) for part in wrong["loc"][1:]]
        raise InvalidInput(f"--{' '.join(names).replace('_', '-')}: {wrong['msg']}.") from error


def weights_of(option: str, texts: Sequence[str]) -> dict[str, float]:
    """Texts `domain=weight` as a dict. Raises `InvalidInput` for a text that is none, or a domain given twice."""
    pairs = pairs_of(option, texts)
    try:
        return {domain: float(weight) for domain, weight in pairs.items()}
    except ValueError as error:
        raise InvalidInput(f"{option}: {error}. Write a domain and a number, such as battery=2; 0 silences it.") from error


def pairs_of(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Texts `key=value` as a dict. Raises `InvalidInput` for a text without `=`, or a key given twice."""
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InvalidInput(f"{option} {text!r}: write key=value.")
        if key.strip() in pairs:
            raise InvalidInput(f"{option} {key.strip()} is given twice. Give it once.")
        pairs[key.strip()] = value.strip()
    return pairs


def source_spec(connector: str, location: str, options: SourceOptions) -> "SourceSpec":
    """What the run shall open, as it was told.

    Raises:
        InvalidInput: an option is no `key=value`, or says again what another one said.
    """
    from server.domain.run import SourceSpec  # noqa: PLC0415 - `--help` need not wait for it

    told = pairs_of("--option", options.option or ())
    for role, name in _ROLE_OF.items():
        given: str | list[str] | None = getattr(options, name)
        if given:
            if role in told:
                raise InvalidInput(f"--{name.replace('_', '-')} and --option {role}= say the same. Give one of them.")
            told[role] = given if isinstance(given, str) else ",".join(given)
    return SourceSpec(connector=connector, location=location, options=told)
