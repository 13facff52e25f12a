"""`apply_feedback`: carries out what a person approved. The caller supplies an id and nothing else.

Where the policy trusts the caller's program to speak for a person, that person is asked through it (MCP elicitation). The
question is rendered from what is stored, and a yes is recorded as a decision before anything is applied. The service refuses
whatever no person approved, whoever asks and whatever this file does.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, Resolve
from pydantic import BaseModel, Field

from server.domain.identity import Scope
from server.domain.suggestion import Applied, Preview, StandingSuggestion, Suggestion, SuggestionKind, SuggestionStatus
from server.errors import ApprovalMissing
from server.services.walk import StageProgress
from server.tools.caller import caller, who
from server.tools.desk import Desk
from server.tools.errors import for_tools, translated
from server.tools.fields import SuggestionId
from server.tools.waiting import ended

CHANNEL = "elicitation"
_MOST_MOVES = 10
_WORDS = 300


class Approval(BaseModel):
    """What a person answers."""

    approve: bool = Field(description="Apply this change?")


def apply_tool(desk: Desk) -> Callable[..., Any]:
    """The tool, made here because the question that it may ask needs the desk."""
    app = desk.app

    async def ask(suggestion: SuggestionId, ctx: Context[Any, Any]) -> Elicit[Approval] | Approval:
        standing = await asyncio.to_thread(app.corrections.get, who(Scope.READ), suggestion)
        if standing.status is not SuggestionStatus.PENDING or not _may_ask(ctx):
            return Approval(approve=False)
        preview = await asyncio.to_thread(app.corrections.preview, who(Scope.READ), suggestion)
        return Elicit(question(standing.suggestion, preview), Approval) if preview.open else Approval(approve=False)

    async def apply_feedback(
        suggestion: SuggestionId,
        ctx: Context[Any, Any],
        answer: Annotated[ElicitationResult[Approval], Resolve(translated(ask, for_tools))],
    ) -> Applied:
        """Put a suggestion into force that a person has approved, then retrain, re-score and persist.

        Refused until a person decided: in the chat, on the approval page or at the command line; some clients ask their user
        here. You cannot approve it yourself, and calling again does not help: tell the person where to decide.

        Example: {"suggestion": "s-10aa3f9c2b7d"}
        """
        principal = who(Scope.FEEDBACK)
        standing = await asyncio.to_thread(app.corrections.get, who(Scope.READ), suggestion)
        await asyncio.to_thread(_decide, desk, standing, answer)
        applied: list[Applied] = []

        def work(report: StageProgress) -> None:
            applied.append(app.corrections.apply(principal, suggestion, report))

        job = desk.jobs.start(caller(), standing.suggestion.run, f"apply_feedback {suggestion}", work)
        await ended(job, ctx)
        if not applied:  # another call of the same was joined: what it did stands, and is told again
            return await asyncio.to_thread(app.corrections.apply, principal, suggestion)
        desk.changed(f"anomalyst://suggestions/{suggestion}", f"anomalyst://baselines/{applied[0].version_after}")
        return applied[0]

    return apply_feedback


def _may_ask(ctx: Context[Any, Any]) -> bool:
    able = ctx.client_capabilities
    return caller().may_be_asked and able is not None and able.elicitation is not None


def _decide(desk: Desk, standing: StandingSuggestion, answer: ElicitationResult[Approval]) -> None:
    """Record a person's yes to what is pending. Raises `ApprovalMissing` if they were asked and did not say yes."""
    if standing.status is not SuggestionStatus.PENDING or not caller().may_be_asked:
        return
    name, suggestion = standing.suggestion.id, standing.suggestion
    if not isinstance(answer, AcceptedElicitation):
        raise ApprovalMissing(f"suggestion {name} stays pending: the person who was asked gave no answer, or declined.")
    if answer.data.approve:
        by = caller().principal.model_copy(update={"channel": CHANNEL})
        desk.app.corrections.decide(by, name, approved=True, digest=suggestion.digest, reason="asked by apply_feedback")


def question(suggestion: Suggestion, preview: Preview) -> str:
    """What a person is asked, from the stored suggestion alone; the same every time that it is asked."""
    removed, added = _counts(preview.removed), _counts(preview.added)
    lines = [
        f"Apply suggestion {suggestion.id} (content {suggestion.digest}) to fleet {suggestion.fleet.name}?",
        f"It changes baseline version {suggestion.base_version}: {suggestion.kind.value.replace('_', ' ')}.",
        *_changes(suggestion),
        f"Anomalies now {preview.alarms_before:,}, then {preview.alarms_after:,}: removed {removed}; added {added}.",
        f"Devices touched: {preview.devices:,}. Proposed by {suggestion.proposer!r}, because: {suggestion.reason[:_WORDS]!r}",
    ]
    return "\n".join(lines)


def _counts(by_verdict: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(by_verdict.items()) if count) or "none"


def _changes(suggestion: Suggestion) -> list[str]:
    if suggestion.kind is SuggestionKind.ROLLBACK:
        return [f"- back to version {suggestion.rollback_to}"]
    if suggestion.settings is not None:
        told = suggestion.settings.model_dump(mode="json", exclude_defaults=True)
        return [f"- {name}: {value}" for name, value in told.items()] or ["- all settings to their defaults"]
    moves = [
        f"- {move.feature!r} of {move.level.value} {move.group!r}: {move.amount:+.4g} ({move.in_scales:+.2f} scales)"
        for move in suggestion.adjustments[:_MOST_MOVES]
    ]
    more = len(suggestion.adjustments) - _MOST_MOVES
    return [*moves, f"- and {more} more"] if more > 0 else moves
