"""The commands of corrections: suggestions with their previews, a person's decision, and its effect."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from server.cli.options import AsJson, Home, Limit, OfFleet, Offset
from server.cli.session import opened, person, quiet
from server.cli.shown import as_json, moment, say, say_json, say_table
from server.cli.walk_options import weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        ("suggest", _suggest), ("suggestions", _suggestions), ("preview", _preview), ("approve", _approve),
        ("reject", _reject), ("apply", _apply), ("effects", _effects),
    ):  # fmt: skip
        app.command(name, rich_help_panel=_PANEL)(command)


def _suggest(  # noqa: PLR0913 - a command's options are its parameters
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
            weights = weights_of("--weight", weight) if weight else None
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
