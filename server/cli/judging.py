"""The commands of judging: what people say of anomalies, what they expect, and what is remembered of it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from server.cli.findings import Since, Until, time_of
from server.cli.options import AsJson, Home, Limit, OfFleet
from server.cli.session import opened, person
from server.cli.shown import as_json, moment, say, say_json, say_table
from server.cli.walk_options import pairs_of
from server.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

_PANEL = "Correct"
Note = Annotated[str, typer.Option(help="Why, in your words.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for name, command in (
        ("feedback", _feedback), ("missed", _missed), ("recall", _recall), ("rules", _rules), ("end-rule", _end_rule),
    ):  # fmt: skip
        app.command(name, rich_help_panel=_PANEL)(command)
    memory = typer.Typer(help="What is remembered of decisions.", no_args_is_help=True)
    memory.command("rebuild")(_rebuild)
    app.add_typer(memory, name="memory", rich_help_panel=_PANEL)


def _feedback(  # noqa: PLR0913 - a command's options are its parameters
    verdict: Annotated[Literal["false_alarm", "true", "expected"], typer.Argument(help="What you say of it.")],
    *,
    anomaly: Annotated[str | None, typer.Option(help="The anomaly, by id.")] = None,
    incident: Annotated[str | None, typer.Option(help="All anomalies of this incident.")] = None,
    device: Annotated[str | None, typer.Option(help="All anomalies of this device, narrowed by the options below.")] = None,
    metric: Annotated[str | None, typer.Option(help="Only where this metric is most at fault.")] = None,
    since: Since = None,
    until: Until = None,
    fleet: OfFleet = None,
    note: Note = "",
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="When an `expected` rule ends.")] = None,
    scope: Annotated[list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Whom an `expected` rule is about.")] = None,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Say what an anomaly was: a false alarm, true, or real but expected. No baseline changes by this."""
    from server.domain.anomaly import AnomalyFilter  # noqa: PLC0415 - `--help` need not wait for it
    from server.domain.feedback import Verdict  # noqa: PLC0415 - as above

    start, end = time_of("--since", since), time_of("--until", until)
    wanted = None
    if device or metric or start or end:
        wanted = AnomalyFilter(fleet=fleet, device=device, metric=metric, start=start, end=end)
    with opened(home) as app:
        receipt = app.verdicts.record(
            person(app),
            Verdict(verdict),
            anomaly=anomaly,
            incident=incident,
            wanted=wanted,
            note=note,
            until=time_of("--expires", expires),
            scope=pairs_of("--scope", scope) if scope else None,
        )
    say_json(as_json(receipt)) if json else say(receipt.summary)


def _missed(  # noqa: PLR0913 - as above
    *,
    device: Annotated[str | None, typer.Option(help="The device that was in trouble.")] = None,
    store: Annotated[str | None, typer.Option(help="The store that was in trouble.")] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="When it began (UTC unless it says).")],
    until: Annotated[str, typer.Option(metavar="TIME", help="When it ended (UTC unless it says).")],
    metric: Annotated[list[str] | None, typer.Option(help="A metric at fault, if known.")] = None,
    fleet: OfFleet = None,
    note: Note = "",
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Report trouble that was not flagged."""
    with opened(home) as app:
        receipt = app.verdicts.report_missed(
            person(app),
            fleet=fleet,
            device=device,
            store=store,
            start=_needed_time("--since", since),
            end=_needed_time("--until", until),
            note=note,
            metrics=tuple(metric or ()),
        )
    say_json(as_json(receipt)) if json else say(receipt.summary)


def _recall(
    words: Annotated[str, typer.Argument(help="What it was about, in words.")] = "",
    *,
    anomaly: Annotated[str | None, typer.Option(help="Cases like this anomaly.")] = None,
    incident: Annotated[str | None, typer.Option(help="Cases like this incident.")] = None,
    fleet: OfFleet = None,
    limit: Limit = 5,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Ask whether a case was seen before, and what was decided."""
    with opened(home) as app:
        answer = app.verdicts.recall(person(app), anomaly=anomaly, incident=incident, words=words, fleet=fleet, limit=limit)
    if json:
        say_json(as_json(answer))
        return
    rows = [
        (moment(one.time), one.by, one.outcome + (" (undone)" if one.undone else ""), one.rows, one.words)
        for one in (each.decision for each in answer.recalled)
    ]
    say_table("Earlier decisions, most alike first", ("when (UTC)", "who", "outcome", "rows", "about"), rows, right=("rows",))
    say(answer.summary)


def _rules(fleet: OfFleet = None, json: AsJson = False, home: Home = None) -> None:
    """List what is expected, for whom and until when."""
    with opened(home) as app:
        rules = app.verdicts.rules(person(app), fleet=fleet)
    if json:
        say_json([as_json(rule) for rule in rules])
        return
    rows = [
        (
            each.id,
            _scope_in_words(each.scope),
            ", ".join(each.metrics),
            moment(each.start),
            moment(each.ended or each.until),
            each.author,
        )
        for each in rules
    ]
    say_table("What is expected", ("rule", "who", "metrics", "from (UTC)", "until (UTC)", "by"), rows)


def _end_rule(rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule's id.")], home: Home = None) -> None:
    """End a rule now, so that it mutes nothing more."""
    with opened(home) as app:
        ended = app.verdicts.end_rule(person(app), rule)
    say(f"{ended.id} ended at {moment(ended.ended)} UTC.")


def _rebuild(home: Home = None) -> None:
    """Forget what is remembered of decisions, and remember all of the records again."""
    with opened(home) as app:
        say(f"{app.recollection.rebuild():,} decisions remembered.")


def _needed_time(option: str, text: str) -> datetime:
    found = time_of(option, text)
    if found is None:
        raise InvalidInput(f"{option} is missing.")
    return found


def _scope_in_words(scope: "Mapping[str, str]") -> str:
    return ", ".join(f"{name} {value}" for name, value in scope.items()) or "whole fleet"
