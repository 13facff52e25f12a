"""The commands of corrections: verdicts, suggestions with their previews, a person's decision, and its effect."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from server.cli.findings import Since, Until, time_of
from server.cli.options import AsJson, Home, Limit, OfFleet, Offset
from server.cli.session import opened, quiet
from server.cli.shown import as_json, moment, say, say_json, say_table
from server.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from server.app import App
    from server.domain.identity import Principal
    from server.domain.suggestion import Preview, StandingSuggestion
    from server.services.suggesting import Suggested

_PANEL = "Correct"
SuggestionId = Annotated[
    str, typer.Argument(metavar="SUGGESTION", help="A suggestion's id; `anomalyst suggestions` lists them.")
]
Note = Annotated[str, typer.Option(help="Why, in your words.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for name, command in (
        ("feedback", _feedback), ("missed", _missed), ("recall", _recall), ("rules", _rules), ("end-rule", _end_rule),
        ("suggest", _suggest), ("suggestions", _suggestions), ("preview", _preview), ("approve", _approve),
        ("reject", _reject), ("apply", _apply), ("effects", _effects),
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
            scope=_pairs("--scope", scope) if scope else None,
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
            start=_time("--since", since),
            end=_time("--until", until),
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
        (each.id, _told(each.scope), ", ".join(each.metrics), moment(each.start), moment(each.ended or each.until), each.author)
        for each in rules
    ]
    say_table("What is expected", ("rule", "who", "metrics", "from (UTC)", "until (UTC)", "by"), rows)


def _end_rule(rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule's id.")], home: Home = None) -> None:
    """End a rule now, so that it mutes nothing more."""
    with opened(home) as app:
        ended = app.verdicts.end_rule(person(app), rule)
    say(f"{ended.id} ended at {moment(ended.ended)} UTC.")


def _suggest(  # noqa: PLR0913 - as above
    what: Annotated[Literal["baselines", "settings", "rollback"], typer.Argument(help="What to change.")] = "baselines",
    *,
    fleet: OfFleet = None,
    device: Annotated[str | None, typer.Option(help="baselines: only verdicts on this device.")] = None,
    metric: Annotated[str | None, typer.Option(help="baselines: only verdicts on this metric.")] = None,
    cohort: Annotated[str | None, typer.Option(help="baselines: only verdicts on cohorts with this in their name.")] = None,
    direction: Annotated[Literal["fewer", "more"] | None, typer.Option(help="settings: fewer or more anomalies.")] = None,
    contamination: Annotated[float | None, typer.Option(help="settings: share of rows to flag.")] = None,
    alerts_per_day: Annotated[float | None, typer.Option(help="settings: alert budget of the fleet.")] = None,
    weight: Annotated[list[str] | None, typer.Option(metavar="DOMAIN=WEIGHT", help="settings: a domain's weight.")] = None,
    to_version: Annotated[int | None, typer.Option(help="rollback: the version to go back to.")] = None,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Ask what to change about baselines or threshold, from verdicts. Nothing changes before a person approves."""
    with opened(home) as app:
        quiet()
        who = person(app)
        if what == "baselines":
            suggested = app.corrections.suggest_adjustments(who, fleet=fleet, device=device, metric=metric, cohort=cohort)
        elif what == "settings":
            weights = {name: _weight(text) for name, text in _pairs("--weight", weight).items()} if weight else None
            suggested = app.corrections.suggest_settings(
                who,
                fleet=fleet,
                direction=direction,
                contamination=contamination,
                alerts_per_day=alerts_per_day,
                domain_weights=weights,
            )
        else:
            suggested = app.corrections.suggest_rollback(who, fleet=fleet, to_version=to_version)
    say_json(as_json(suggested)) if json else _say_suggested(suggested)


def _suggestions(
    status: Annotated[
        Literal["pending", "approved", "rejected", "applied", "expired", "stale"] | None, typer.Option(help="Only these.")
    ] = None,
    fleet: OfFleet = None,
    limit: Limit = 20,
    offset: Offset = 0,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """List suggestions, newest first."""
    from server.domain.suggestion import SuggestionStatus  # noqa: PLC0415 - `--help` need not wait for it

    with opened(home) as app:
        page = app.corrections.page(
            person(app), fleet=fleet, status=SuggestionStatus(status) if status else None, limit=limit, offset=offset
        )
    if json:
        say_json(as_json(page))
        return
    _say_standing(page.suggestions)
    say(f"{len(page.suggestions)} of {page.total}.")


def _preview(suggestion: SuggestionId, json: AsJson = False, home: Home = None) -> None:
    """Show what a suggestion would remove, hide and add, row by row on the stored window."""
    with opened(home) as app:
        quiet()
        standing, found = app.corrections.get(person(app), suggestion), app.corrections.preview(person(app), suggestion)
    if json:
        say_json(as_json(found))
        return
    say(standing.suggestion.reason)
    say_preview(found)


def _approve(
    suggestion: SuggestionId,
    *,
    digest: Annotated[str | None, typer.Option(help="Only if its content has this digest (default: as shown now).")] = None,
    reason: Note = "",
    override: Annotated[list[str] | None, typer.Option(help="Accept this finding of the gate, as a second person.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: I have seen the preview.")] = False,
    apply: Annotated[bool, typer.Option(help="Put it into force at once, and walk on.")] = True,
    home: Home = None,
) -> None:
    """Approve a suggestion as the user who runs this command, after showing what it does."""
    with opened(home) as app:
        quiet()
        who = person(app)
        standing = app.corrections.get(who, suggestion)
        say(standing.suggestion.reason)
        say_preview(app.corrections.preview(who, suggestion))
        if not yes and not typer.confirm(f"Approve {suggestion} as {who.name}?"):
            say("Nothing was decided.")
            return
        app.corrections.decide(
            who,
            suggestion,
            approved=True,
            digest=digest or standing.suggestion.digest,
            reason=reason,
            override=tuple(override or ()),
        )
        say(f"{suggestion} is approved by {who.name}.")
        if apply:
            _say_applied(app, who, suggestion)
        else:
            say(f"`anomalyst apply {suggestion}` puts it into force.")


def _reject(suggestion: SuggestionId, reason: Note = "", home: Home = None) -> None:
    """Reject a suggestion."""
    with opened(home) as app:
        who = person(app)
        standing = app.corrections.get(who, suggestion)
        app.corrections.decide(who, suggestion, approved=False, digest=standing.suggestion.digest, reason=reason)
    say(f"{suggestion} is rejected by {who.name}.")


def _apply(suggestion: SuggestionId, home: Home = None) -> None:
    """Put an approved suggestion into force: next baseline version, retrained, re-scored, persisted."""
    with opened(home) as app:
        quiet()
        _say_applied(app, person(app), suggestion)


def _effects(fleet: OfFleet = None, limit: Limit = 20, json: AsJson = False, home: Home = None) -> None:
    """Show what approved changes did: promised and happened, before and after."""
    with opened(home) as app:
        effects = app.corrections.effects(person(app), fleet=fleet, limit=limit)
    if json:
        say_json([as_json(each) for each in effects])
        return
    rows = [
        (
            moment(each.applied), each.suggestion, each.kind.value, f"{each.version_before} → {each.version_after}",
            len(each.feedback), each.approver, f"{each.alarms_before:,}", f"{each.promised.alarms_after:,}",
            "" if each.alarms_after is None else f"{each.alarms_after:,}", each.undone_by,
        )
        for each in effects
    ]  # fmt: skip
    heads = (
        "applied (UTC)",
        "suggestion",
        "kind",
        "version",
        "verdicts",
        "approver",
        "before",
        "promised",
        "after",
        "undone by",
    )
    say_table("What approvals changed: anomalies in the window", heads, rows, right=("verdicts", "before", "promised", "after"))


def _rebuild(home: Home = None) -> None:
    """Forget what is remembered of decisions, and remember all of the records again."""
    with opened(home) as app:
        say(f"{app.recollection.rebuild():,} decisions remembered.")


def person(app: "App") -> "Principal":
    """The operating system's user, who may do everything at this command line."""
    from server.domain.identity import Principal, local_user  # noqa: PLC0415 - `--help` need not wait for it

    return Principal(name=local_user(), tenant=app.settings.tenant)


def say_preview(preview: "Preview") -> None:
    """Print what a change would do."""
    say(
        f"Window {moment(preview.start)} to {moment(preview.end)} UTC, {preview.rows:,} rows: it touches "
        f"{preview.rows_rescored:,} of them, of {preview.devices:,} devices."
    )
    say(f"Anomalies: {preview.alarms_before:,} now, {preview.alarms_after:,} then.")
    verdicts = sorted({*preview.removed, *preview.added})
    counts = [(name, preview.removed.get(name, 0), preview.added.get(name, 0)) for name in verdicts]
    say_table("By verdict", ("verdict", "removed", "added"), counts, right=("removed", "added"))
    shown = [("removed", each) for each in preview.removed_examples] + [("added", each) for each in preview.added_examples]
    shown = [("HIDDEN, marked true", each) for each in preview.hidden_true] + shown
    rows = [
        (what, each.device, moment(each.time), f"{each.severity_before:.1f}", f"{each.severity_after:.1f}", each.verdict)
        for what, each in shown
    ]
    heads = ("what", "device", "time (UTC)", "severity now", "then", "verdict")
    say_table("Examples", heads, rows, right=("severity now", "then"))
    if preview.false_alarms_left:
        left = ", ".join(f"{count:,}" for count in preview.false_alarms_left)
        say(f"Rows marked false alarm that stay flagged after 1, 2, 3... such approvals: {left}.")
    gate = [("holds" if each.passed else "CLOSED", each.rule, each.detail) for each in preview.gate]
    say_table("Gate", ("", "rule", "finding"), gate)


def _say_applied(app: "App", who: "Principal", suggestion: str) -> None:
    from server.cli.progress import watched  # noqa: PLC0415 - `--help` need not wait for it

    with watched() as report:
        applied = app.corrections.apply(who, suggestion, report)
    effect = applied.effect
    say(
        f"Baseline version {applied.version_before} → {applied.version_after}. Anomalies in the window: "
        f"{effect.alarms_before:,} before, {effect.promised.alarms_after:,} promised, {effect.alarms_after:,} now."
    )


def _say_suggested(suggested: "Suggested") -> None:
    _say_standing(suggested.suggestions)
    if suggested.refused:
        rows = [(each.feature, each.group, each.reason) for each in suggested.refused]
        say_table("Refused", ("feature", "group", "why"), rows)
    say(suggested.summary)


def _say_standing(standing: "Sequence[StandingSuggestion]") -> None:
    rows = [
        (one.suggestion.id, one.status.value, one.suggestion.kind.value, one.suggestion.base_version, one.suggestion.reason)
        for one in standing
    ]
    say_table("Suggestions", ("suggestion", "status", "kind", "on version", "why"), rows, right=("on version",))


def _time(option: str, text: str) -> datetime:
    found = time_of(option, text)
    if found is None:
        raise InvalidInput(f"{option} is missing.")
    return found


def _pairs(option: str, texts: "Sequence[str]") -> "Mapping[str, str]":
    pairs = [text.partition("=") for text in texts]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise InvalidInput(f"{option} {name!r}: write it as NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def _told(scope: "Mapping[str, str]") -> str:
    return ", ".join(f"{name} {value}" for name, value in scope.items()) or "whole fleet"


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInput(f"--weight {text!r} is no number. Write DOMAIN=0.5, or 0 to silence the domain.") from error
