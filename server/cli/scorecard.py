"""The command `scorecard`: how good the detectors are on a labelled file, or on synthetic fleets of all tiers."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.evaluate import named_scores
from server.cli.fleets import Days, Devices, FleetSeed, fleet_options, synthetic
from server.cli.options import AsJson, Verb, flat
from server.cli.session import app_of, settings_of, walk_of
from server.cli.shown import say, say_json, say_table
from server.cli.walk_options import SourceOptions, WalkOptions, source_spec
from server.cli.walking import advance, start_run
from server.errors import InvalidInput

if TYPE_CHECKING:
    from server.app import App
    from server.connectors.synthetic import SyntheticSource
    from server.scorecard.card import Card
    from server.scorecard.synthetic import SyntheticCard, TierReport

_TIERS = ("easy", "medium", "hard", "null")
_SEED, _BUDGET = 42, 20.0
_MOST_INCIDENTS = 100_000


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("scorecard", rich_help_panel="Try out")(flat(_scorecard))


def _scorecard(  # noqa: PLR0913 - a command's options are its parameters
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="A file with a column label, as for `score`.")] = None,
    *,
    walk: WalkOptions,
    source: SourceOptions,
    synthetic_fleet: Annotated[
        bool, typer.Option("--synthetic", help="Synthetic fleets of all tiers instead of FILE.")
    ] = False,
    devices: Devices = None,
    days: Days = None,
    fleet_seed: FleetSeed = None,
    causes: Annotated[Path | None, typer.Option(help="Parquet file of the metrics at fault in each event.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to take the mean of.")] = 3,
    vus_window: Annotated[
        int | None, typer.Option(min=1, help="Rows of VUS-PR's widest buffer (default: a median event).")
    ] = None,
    ablation: Annotated[bool, typer.Option(help="Measure the default detector without each of its parts as well.")] = True,
    out: Annotated[Path, typer.Option(help="Folder to write the JSON and the HTML page to; made if absent.")] = Path(
        "scorecard"
    ),
    json: AsJson = False,
) -> None:
    """Measure detectors, reference methods and each part's worth on FILE, and write JSON and a page with plots.

    No label is read by fitting or by a threshold. Rows whose split column says test are judged, or all if none does;
    --fit-split train fits on those that say train. With --synthetic, fleets of each tier are held against their truth instead.
    """
    if (file is None) is not synthetic_fleet:
        raise InvalidInput("give either a labelled FILE or --synthetic.")
    from server.scorecard.page import write_page  # noqa: PLC0415 - `--help` need not wait for it

    out.mkdir(parents=True, exist_ok=True)
    if file is None:
        card = _synthetic_card(fleet_options(devices, days, fleet_seed), walk)
        path = out / "scorecard-synthetic.json"
    else:
        card = _labelled_card(file, walk, source, (causes, vus_window), seeds, ablation=ablation)
        path = out / f"scorecard-{Path(file.partition('::')[0]).stem}.json"
    write_page(path.with_suffix(".html"), card)
    card.write(path)
    written = [str(path), str(path.with_suffix(".html"))]
    if json:
        say_json({"written": written})
        return
    _say(card)
    say(f"Written: {', '.join(written)}")


def _labelled_card(
    file: str, walk: WalkOptions, source: SourceOptions, judging: tuple[Path | None, int | None], seeds: int, *, ablation: bool
) -> "Card":
    from server.scorecard.causes import read_causes  # noqa: PLC0415 - `--help` need not wait for it
    from server.scorecard.contestants import ablations, installed  # noqa: PLC0415 - as above
    from server.scorecard.labelled import read_labelled  # noqa: PLC0415 - as above
    from server.scorecard.making import Judging, Walked, make_card  # noqa: PLC0415 - as above
    from server.scorecard.outside import outside_methods  # noqa: PLC0415 - as above

    spec, (causes, window) = source_spec("files", file, source), judging
    with _own_stores() as app:
        labelled = read_labelled(app.connectors.get(spec.connector), spec, walk.fit_split)
        judged = Judging(labelled, read_causes(causes, labelled) if causes else [], 0)
        run = advance(app, start_run(app, "scorecard", spec, walk).id, "scorecard", Verb.BASELINES)
        return make_card(
            Walked(walk_of(app).stages, run),
            replace(judged, window=window or judged.answers.window()),
            [*installed(app.detectors), *(ablations() if ablation else [])],
            outside_methods(),
            seeds=range(_SEED, _SEED + seeds),
            say=lambda line: say(line, err=True),
        )


def _synthetic_card(options: dict[str, str], walk: WalkOptions) -> "SyntheticCard":
    from server.scorecard.synthetic import SyntheticCard  # noqa: PLC0415 - `--help` need not wait for it

    tiers = [_tier(tier, options, walk) for tier in _TIERS]
    if walk.alerts_per_day is None:
        tiers.append(_tier("null", options, replace(walk, alerts_per_day=_BUDGET)))
    plan = synthetic(_TIERS[0], options).plan
    return SyntheticCard(plan.devices, plan.days, tuple(tiers))


def _tier(tier: str, options: dict[str, str], walk: WalkOptions) -> "TierReport":
    """A walk of one fleet, held against its truth."""
    from server.domain.run import SourceSpec  # noqa: PLC0415 - as above
    from server.scorecard.synthetic import TierReport  # noqa: PLC0415 - as above
    from server.services.evaluation import evaluate  # noqa: PLC0415 - as above

    say(f"walking the {tier} fleet", err=True)
    source: SyntheticSource = synthetic(tier, options)
    with _own_stores() as app:
        spec = SourceSpec(connector="synthetic", location=tier, options=options)
        run = advance(app, start_run(app, "scorecard", spec, walk).id, "scorecard")
        incidents, _ = app.records.incidents(app.settings.tenant, run_id=run.id, limit=_MOST_INCIDENTS)
        report = evaluate(named_scores(app, run, source), incidents, source.truth(), interval=source.plan.interval)
    return TierReport(tier, walk.alerts_per_day, source.plan.days, report)


@contextmanager
def _own_stores() -> "Generator[App]":
    """The server over stores that are gone afterwards, whatever the environment says: a measurement belongs to no fleet."""
    settings = settings_of(None)
    with TemporaryDirectory(prefix="anomalyst-") as folder:
        unset = {"home": Path(folder), "artifacts": None, "store": settings.store.model_copy(update={"url": None})}
        with app_of(settings.model_copy(update=unset)) as app:
            yield app


def _say(card: "Card | SyntheticCard") -> None:
    from server.scorecard.page import tables  # noqa: PLC0415 - as above

    for caption, heads, rows in tables(card):
        say_table(caption, heads, rows, right=heads[1:])
