"""The command `demo`: a synthetic fleet, walked to the end, and what was found in it."""

import typer

from server.cli.findings import say_anomalies, say_incidents
from server.cli.fleets import Days, Devices, FleetSeed, fleet_options, synthetic
from server.cli.options import AsJson, Home
from server.cli.runs import say_run
from server.cli.session import opened
from server.cli.shown import as_json, say, say_json
from server.cli.walking import advance, start_run

_FLEET = "demo"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("demo", rich_help_panel="Try out")(_demo)


def _demo(devices: Devices = None, days: Days = None, seed: FleetSeed = None, json: AsJson = False, home: Home = None) -> None:
    """Build a synthetic fleet of 300 devices, walk it, and print what was found and what to do next."""
    from server.domain.anomaly import AnomalyFilter  # noqa: PLC0415 - `--help` need not wait for it
    from server.domain.run import SourceSpec  # noqa: PLC0415 - as above

    with opened(home) as app:
        if not json:
            say("Building a synthetic fleet and walking it; the first time takes longer.", err=True)
        options = fleet_options(devices, days, seed)
        spec = SourceSpec(connector="synthetic", location=_FLEET, options=options)
        run = advance(app, start_run(app, _fleet_name(options), spec).id, "demo")
        incidents, incidents_in_all = app.records.incidents(app.settings.tenant, run_id=run.id, limit=10)
        worst, anomalies_in_all = app.records.anomalies(app.settings.tenant, AnomalyFilter(run=run.id), limit=10)
        places = {"stores": str(app.settings.home), "artifacts": str(app.settings.artifact_folder / run.id)}
    if json:
        found = {"incidents": [as_json(each) for each in incidents], "anomalies": [as_json(each) for each in worst]}
        totals = {"incidents_in_all": incidents_in_all, "anomalies_in_all": anomalies_in_all}
        say_json({"run": as_json(run), **totals, **found, **places})
        return
    say_run(run)
    say_incidents(incidents, incidents_in_all)
    say_anomalies(worst, anomalies_in_all)
    for name, place in places.items():
        say(f"{name.capitalize()}: {place}")
    say(
        "Next: `anomalyst anomalies --incident INCIDENT` looks into one, `anomalyst evaluate` compares all with the truth, "
        "`anomalyst run FILE` takes telemetry of your own."
    )


def _fleet_name(options: dict[str, str]) -> str:
    """A fleet of its own for each size and seed: they share device names, and rows of one are no news of another."""
    plan, usual = synthetic(_FLEET, options).plan, synthetic(_FLEET, {}).plan
    return _FLEET if plan == usual else f"{_FLEET}-{plan.devices}x{plan.days}-{plan.seed}"
