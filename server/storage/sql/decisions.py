"""What may be done to a suggestion and when; each step is a compare-and-set on its status."""

from datetime import datetime

from sqlalchemy import Connection, update
from sqlmodel import col

from server.domain.suggestion import Decision, StandingSuggestion, Suggestion, SuggestionStatus
from server.errors import ApprovalMissing, ApprovalStale
from server.storage.sql import suggestions
from server.storage.tables import SuggestionRow


def decide(connection: Connection, tenant: str, decision: Decision) -> StandingSuggestion:
    """The suggestion with the decision. Raises `ApprovalStale` if it is not pending or not what was decided on."""
    standing = suggestions.one(connection, tenant, decision.suggestion, decision.time)
    _require_same(standing.suggestion, decision.digest)
    status = SuggestionStatus.APPROVED if decision.approved else SuggestionStatus.REJECTED
    values: dict[str, object] = {"status": status, "decision": decision.model_dump_json()}
    if decision.approved:
        values["expires"] = decision.expires
    if standing.status is not SuggestionStatus.PENDING or not _moved(
        connection, standing.suggestion, SuggestionStatus.PENDING, values
    ):
        raise _not_as_needed(standing, "pending")
    return suggestions.one(connection, tenant, decision.suggestion, decision.time)


def require_approved(standing: StandingSuggestion, suggestion: Suggestion) -> None:
    """Return if a person approved exactly this suggestion and the approval still holds.

    Raises:
        ApprovalMissing: nobody approved it.
        ApprovalStale: the approval or the suggestion's base is over, or it is of another digest.
    """
    decision = standing.decision
    if decision is None or not decision.approved:
        state = "was rejected" if decision else "has not been decided"
        raise ApprovalMissing(
            f"suggestion {standing.suggestion.id} {state}. A person has to approve it before it can be applied."
        )
    _require_same(standing.suggestion, decision.digest)
    _require_same(standing.suggestion, suggestion.digest)
    if standing.status is not SuggestionStatus.APPROVED:
        raise _not_as_needed(standing, "approved")


def consume(connection: Connection, standing: StandingSuggestion, applied_version: int) -> None:
    """Turn the approval into an application. Raises `ApprovalStale` if another call was first."""
    values: dict[str, object] = {"status": SuggestionStatus.APPLIED, "applied_version": applied_version}
    if not _moved(connection, standing.suggestion, SuggestionStatus.APPROVED, values):
        raise _not_as_needed(standing, "approved")


def _moved(connection: Connection, suggestion: Suggestion, source: SuggestionStatus, values: dict[str, object]) -> bool:
    row = SuggestionRow
    step = update(SuggestionRow).where(
        col(row.tenant) == suggestion.fleet.tenant, col(row.id) == suggestion.id, col(row.status) == source
    )
    return connection.execute(step.values(**values)).rowcount == 1


def _require_same(stored: Suggestion, digest: str) -> None:
    if stored.digest != digest:
        raise ApprovalStale(
            f"suggestion {stored.id} has the digest {stored.digest}, not {digest}. Look at it again as it is, then decide."
        )


def _not_as_needed(standing: StandingSuggestion, needed: str) -> ApprovalStale:
    suggestion, decision = standing.suggestion, standing.decision
    why = {
        SuggestionStatus.STALE: f"was made for baseline version {suggestion.base_version}, which is no longer in force",
        SuggestionStatus.EXPIRED: f"expired on {_end(suggestion, decision).isoformat(timespec='minutes')}",
    }.get(standing.status, f"is {standing.status.value}{f' by {decision.by}' if decision else ''}, not {needed}")
    return ApprovalStale(f"suggestion {suggestion.id} {why}. Make a new suggestion if the change is still wanted.")


def _end(suggestion: Suggestion, decision: Decision | None) -> datetime:
    return decision.expires if decision else suggestion.expires
