"""Facts of corrections: verdicts, expected rules, suggestions, decisions, and what applying them changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.domain.audit import AuditEntry
from server.domain.baseline import BaselineVersion
from server.domain.feedback import ExpectedRule, Feedback, FeedbackFilter
from server.domain.run import Run
from server.domain.suggestion import Decision, Effect, Preview, StandingSuggestion, Suggestion, SuggestionStatus
from server.storage.base.records import Rows


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that applying one suggestion changes, to be stored in one transaction."""

    suggestion: Suggestion
    run: Run
    """The run as it is to be, with the revision that it was read at."""
    version: BaselineVersion | None
    """The next baseline version (its number is given by the store); None if only the detector's settings change."""
    statistics: Rows | None
    """Its baselines, with the columns of `BASELINE_COLUMNS`."""
    effect: Effect
    audit: AuditEntry


class CorrectionRecords(Protocol):
    """Verdicts, rules, suggestions, decisions and their effects in SQL, beside `Records` and by the same rules.

    Each method is one transaction; what changes something appends its audit entry in the same one.
    """

    def add_feedback(self, rows: Sequence[Feedback], audit: AuditEntry) -> int:
        """Store one act's verdicts. A current verdict on the same fleet, device and time is superseded, and kept.

        Returns how many were superseded. The same act again stores nothing and returns 0.
        """
        ...

    def feedback(
        self, tenant: str, wanted: FeedbackFilter, *, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Feedback], int]:
        """Newest first, and how many there are in all."""
        ...

    def add_rule(self, rule: ExpectedRule, audit: AuditEntry) -> None:
        """Store a rule. The same id again changes nothing."""
        ...

    def rules(self, tenant: str, *, fleet: str | None = None, active_at: datetime | None = None) -> Sequence[ExpectedRule]:
        """Newest first; with `active_at` only those in force then."""
        ...

    def end_rule(self, tenant: str, rule_id: str, time: datetime, audit: AuditEntry) -> ExpectedRule:
        """End a rule early. One that has ended stays as it is. Raises `NotFound` with near matches."""
        ...

    def add_suggestion(self, suggestion: Suggestion, audit: AuditEntry) -> None:
        """Store a new suggestion, pending."""
        ...

    def suggestion(self, tenant: str, suggestion_id: str, *, now: datetime) -> StandingSuggestion:
        """With its status now: expired or stale ones say so. Raises `NotFound` with near matches."""
        ...

    def suggestions(
        self,
        tenant: str,
        *,
        now: datetime,
        fleet: str | None = None,
        status: SuggestionStatus | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[Sequence[StandingSuggestion], int]:
        """Newest first, and how many there are in all."""
        ...

    def save_preview(self, tenant: str, preview: Preview) -> None:
        """Keep a preview as its suggestion's newest. The same digest again changes nothing."""
        ...

    def preview(self, tenant: str, digest: str) -> Preview | None:
        """The preview with that digest, if it was made."""
        ...

    def decide(self, tenant: str, decision: Decision, audit: AuditEntry) -> StandingSuggestion:
        """Compare-and-set from pending to approved or rejected.

        Raises:
            NotFound: no such suggestion.
            ApprovalStale: it is not pending (another decided, it expired, its baselines are no longer in force), or
                `decision.digest` is not its digest.
        """
        ...

    def apply(self, application: Application, *, now: datetime) -> Effect:
        """Consume the approval, store the version (expiring the one before), the run, the effect and the audit row.

        All of it or nothing. A suggestion that was applied already changes nothing and gives its effect as stored.

        Raises:
            ApprovalMissing: it is pending or rejected.
            ApprovalStale: the approval expired, is of another digest, or the base version is no longer in force.
            Unavailable: another changed the run.
        """
        ...

    def effects(self, tenant: str, *, fleet: str | None = None, limit: int = 50, offset: int = 0) -> Sequence[Effect]:
        """The ledger, newest first."""
        ...

    def effect(self, tenant: str, suggestion_id: str) -> Effect | None:
        """The entry of one suggestion."""
        ...

    def save_effect(self, effect: Effect) -> None:
        """Complete an entry after the window was scored again, or note that it was undone. Raises `NotFound`."""
        ...
