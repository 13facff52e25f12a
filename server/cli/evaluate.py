"""The command `evaluate`: a walk of the synthetic fleet against its truth. A smoke test, never a claim of accuracy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from server.cli.fleets import synthetic
from server.cli.options import AsJson, Home, OfFleet, OfRun
from server.cli.runs import newest_scored
from server.cli.session import opened, walk_of
from server.cli.shown import say, say_json, say_table
from server.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

    from server.app import App
    from server.connectors.synthetic import SyntheticSource
    from server.domain.run import Run
    from server.services.evaluation import EvaluationReport, TypeReport

_CONNECTOR = "synthetic"
_MOST_INCIDENTS = 100_000


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("evaluate", rich_help_panel="Try out")(_evaluate)


def _evaluate(*, run: OfRun = None, fleet: OfFleet = None, json: AsJson = False, home: Home = None) -> None:
    """Hold a walk of a synthetic fleet against its truth: what was found, missed, late, and flagged for nothing."""
    from server.services.evaluation import evaluate  # noqa: PLC0415 - `--help` need not wait for it

    with opened(home) as app:
        chosen = newest_scored(app, run, fleet, connector=_CONNECTOR)
        if chosen.source.connector != _CONNECTOR or chosen.next_stage() is not None:
            raise InvalidInput(f"run {chosen.id} is no complete walk of a synthetic fleet. Try `anomalyst demo`.")
        source = synthetic(chosen.source.location, chosen.source.options)
        incidents, _ = app.records.incidents(app.settings.tenant, run_id=chosen.id, limit=_MOST_INCIDENTS)
        report = evaluate(named_scores(app, chosen, source), incidents, source.truth(), interval=source.plan.interval)
    if json:
        say_json({"run": chosen.id, **report.model_dump(mode="json")})
        return
    _say(chosen, report)


def named_scores(app: "App", run: "Run", source: "SyntheticSource") -> "pa.Table":
    """The run's scores with the names of devices, cohorts and places that the truth speaks of."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    from server.pipeline.parts import read_columns  # noqa: PLC0415 - as above

    stages = walk_of(app).stages
    members, cohort_columns = stages.members(run), stages.snapshot(run).cohort_columns
    wanted = ["device", "time", "is_anomaly", "top_metric", "cohort", "store", "customer"]
    table = read_columns(stages.scores(run), wanted)
    columns = {
        "device": _names(table, "device", members.devices),
        **{name: table.column(name) for name in ("time", "is_anomaly", "top_metric")},
    }
    for place, name in enumerate(cohort_columns):
        columns[name] = _names(table, "cohort", [cohort[place] for cohort in members.cohorts])
    places = (("store", source.mapping.store, members.stores), ("customer", source.mapping.customer, members.customers))
    for role, name, known in places:
        if name is not None:
            columns[name] = _names(table, role, known)
    return pa.table(columns)


def _names(table: "pa.Table", role: str, names: "Sequence[str]") -> "pa.ChunkedArray":
    """Names for codes, null for -1."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    codes = table.column(role).to_numpy()
    return pa.chunked_array([pa.array([*names, None], pa.string()).take(pa.array(codes % (len(names) + 1)))])


def _say(run: "Run", report: "EvaluationReport") -> None:
    heads = ("type", "tier", "incidents", "device spells", "found", "delay", "devices right", "metric right")
    say_table(f"Run {run.id} against the truth", heads, [_row(one) for one in report.types], right=heads[2:])
    rows = [(one.type, f"{one.rows:,}", f"{one.flagged:,}", _percent(one.rate)) for one in report.look_alikes]
    say_table("Benign look-alikes", ("type", "rows", "flagged", "rate"), rows, right=("rows", "flagged", "rate"))
    found = f"{_percent(report.precision)} of them in real trouble; {_percent(report.recall)} of device spells found"
    say(f"{report.alarms:,} alarms, {found}; {report.false_alarms_per_1000_device_days:.1f} false ones per 1,000 device-days.")
    say("A synthetic fleet is a smoke test: figures on it claim nothing about real telemetry.")


def _row(one: "TypeReport") -> tuple[str, ...]:
    delay = "-" if one.delay_hours is None else f"{one.delay_hours:.0f} h"
    counts = (f"{one.incidents:,}", f"{one.spells:,}", _percent(one.recall))
    return (one.type, one.tier, *counts, delay, _percent(one.jaccard), _percent(one.cause_named))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
