"""A person's decision on a suggestion, carrying it out, and what became of it."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from server.api.door import Approver, AtDesk, By, Judge, Parts, Reader
from server.api.fields import Asked, OfFleet, SuggestionName
from server.api.suggestions import Standing, with_digest
from server.domain.suggestion import Applied, Effect
from server.domain.telemetry import Frozen
from server.services.walk import StageProgress

router = APIRouter(tags=["approvals"])


class AskedDecision(Asked):
    """A yes or no to exactly the content with that digest."""

    approved: bool
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="of the suggestion that was looked at")]
    reason: Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")] = ""
    override: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=(), max_length=20, strict=False, description="findings of the gate that are accepted, where that is allowed"
    )


class EffectList(Frozen):
    """What approved suggestions changed, newest first."""

    effects: tuple[Effect, ...]
    truncated: bool


@router.post("/suggestions/{suggestion}/decision")
def decide(suggestion: SuggestionName, asked: AskedDecision, app: Parts, who: Approver) -> Standing:
    """Record a person's decision. It is bound to the digest, holds once, expires, and applies nothing."""
    decided = app.corrections.decide(
        who, suggestion, approved=asked.approved, digest=asked.digest, reason=asked.reason, override=asked.override
    )
    return with_digest(decided)


@router.post("/suggestions/{suggestion}/apply")
async def apply_feedback(suggestion: SuggestionName, app: Parts, desk: AtDesk, by: By, who: Judge) -> Applied:
    """Put an approved suggestion into force, then retrain, re-score and persist. Sent again, it joins or repeats the answer.

    The walk goes on if the caller hangs up; GET /runs/{run} says how far it is.
    """
    standing = await run_in_threadpool(app.corrections.get, who, suggestion)
    applied: list[Applied] = []

    def work(report: StageProgress) -> None:
        applied.append(app.corrections.apply(who, suggestion, report))

    job = desk.jobs.start(by, standing.suggestion.run, f"apply_feedback {suggestion}", work)
    await asyncio.wait({asyncio.wrap_future(job.ended)})
    if job.error is not None:
        raise job.error
    if not applied:  # another call of the same was joined: what it did stands, and is told again
        return await run_in_threadpool(app.corrections.apply, who, suggestion)
    desk.changed(f"anomalyst://suggestions/{suggestion}", f"anomalyst://baselines/{applied[0].version_after}")
    return applied[0]


@router.get("/effects")
def list_effects(
    app: Parts,
    who: Reader,
    fleet: OfFleet = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Most entries to answer with.")] = 20,
) -> EffectList:
    """What approved suggestions changed: whose verdicts, what was promised, and what happened."""
    found = app.corrections.effects(who, fleet=fleet, limit=limit + 1)
    return EffectList(effects=tuple(found[:limit]), truncated=len(found) > limit)
