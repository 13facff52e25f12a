"""`SqlCorrectionRecords`: every method is one transaction around a function of its subject's file."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from server.domain.audit import AuditEntry
from server.domain.feedback import ExpectedRule, Feedback, FeedbackFilter
from server.domain.suggestion import Decision, Effect, Preview, StandingSuggestion, Suggestion, SuggestionStatus
from server.errors import InvalidInput
from server.storage.sql import applications, audit, decisions, effects, feedback, previews, rules, suggestions
from server.storage.sql.database import Database

if TYPE_CHECKING:
    from server.storage.base import Application


class SqlCorrectionRecords:
    """`CorrectionRecords` in the database of `SqlRecords`; what each method promises stands in `server.storage.base`."""

    def __init__(self, database: Database) -> None:
        """Use a database that is at the newest schema; whoever opened it closes it."""
        self._database = database

    def add_feedback(self, rows: Sequence[Feedback], audit: AuditEntry) -> int:
        """How many verdicts were superseded. Raises `InvalidInput` if the rows are not one act's, or judge a row twice."""
        tenant = rows[0].fleet.tenant if rows else audit.tenant
        with self._acting(tenant, audit) as connection:
            superseded = feedback.add(connection, rows)
            if superseded is not None:
                _append(connection, audit)
            return superseded or 0

    def feedback(
        self, tenant: str, wanted: FeedbackFilter, *, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Feedback], int]:
        """Newest first, and how many there are in all."""
        with self._database.reading() as connection:
            return feedback.page(connection, tenant, wanted, limit=limit, offset=offset)

    def add_rule(self, rule: ExpectedRule, audit: AuditEntry) -> None:
        """Store a rule, unless it is stored."""
        with self._acting(rule.fleet.tenant, audit) as connection:
            if rules.add(connection, rule):
                _append(connection, audit)

    def rules(self, tenant: str, *, fleet: str | None = None, active_at: datetime | None = None) -> Sequence[ExpectedRule]:
        """Newest first; with `active_at` those that are neither over nor ended then."""
        with self._database.reading() as connection:
            return rules.all_of(connection, tenant, fleet=fleet, active_at=active_at)

    def end_rule(self, tenant: str, rule_id: str, time: datetime, audit: AuditEntry) -> ExpectedRule:
        """The rule, ended. Raises `NotFound` with near matches."""
        with self._acting(tenant, audit) as connection:
            rule, ended = rules.end(connection, tenant, rule_id, time)
            if ended:
                _append(connection, audit)
            return rule

    def add_suggestion(self, suggestion: Suggestion, audit: AuditEntry) -> None:
        """Store a new suggestion, pending. Raises `InvalidInput` if its tenant has one of that id."""
        with self._acting(suggestion.fleet.tenant, audit) as connection:
            suggestions.add(connection, suggestion)
            _append(connection, audit)

    def suggestion(self, tenant: str, suggestion_id: str, *, now: datetime) -> StandingSuggestion:
        """As it stands now. Raises `NotFound` with near matches."""
        with self._database.reading() as connection:
            return suggestions.one(connection, tenant, suggestion_id, now)

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
        """Newest first, as they stand now, and how many there are in all."""
        with self._database.reading() as connection:
            return suggestions.page(connection, tenant, now=now, fleet=fleet, status=status, limit=limit, offset=offset)

    def save_preview(self, tenant: str, preview: Preview) -> None:
        """Keep a preview as its suggestion's newest. Raises `NotFound` if there is no such suggestion."""
        with self._database.writing(f"previews {tenant}") as connection:
            previews.save(connection, tenant, preview)

    def preview(self, tenant: str, digest: str) -> Preview | None:
        """The preview with that digest, if it was made."""
        with self._database.reading() as connection:
            return previews.one(connection, tenant, digest)

    def decide(self, tenant: str, decision: Decision, audit: AuditEntry) -> StandingSuggestion:
        """The suggestion with the decision. Raises `NotFound`, or `ApprovalStale` if it is not pending or not the same."""
        with self._acting(tenant, audit) as connection:
            standing = decisions.decide(connection, tenant, decision)
            _append(connection, audit)
            return standing

    def apply(self, application: "Application", *, now: datetime) -> Effect:
        """The effect as it is stored. Raises `ApprovalMissing`, `ApprovalStale`, or `Unavailable` if the run was changed."""
        with self._acting(application.suggestion.fleet.tenant, application.audit) as connection:
            return applications.apply(connection, application, now)

    def effects(self, tenant: str, *, fleet: str | None = None, limit: int = 50, offset: int = 0) -> Sequence[Effect]:
        """The ledger, newest first."""
        with self._database.reading() as connection:
            return effects.page(connection, tenant, fleet=fleet, limit=limit, offset=offset)

    def effect(self, tenant: str, suggestion_id: str) -> Effect | None:
        """The entry of one suggestion."""
        with self._database.reading() as connection:
            return effects.one(connection, tenant, suggestion_id)

    def save_effect(self, effect: Effect) -> None:
        """Complete an entry; an undoing or a count noted meanwhile is kept. Raises `NotFound` with near matches."""
        with self._database.writing(f"effects {effect.fleet.tenant}") as connection:
            effects.save(connection, effect)

    @contextmanager
    def _acting(self, tenant: str, entry: AuditEntry) -> Generator[Connection, None, None]:
        if entry.tenant != tenant:
            raise InvalidInput(f"the audit entry is of tenant {entry.tenant}, what it tells of is not.")
        # the baselines too, so that the version that a decision is checked against stays in force until it is stored
        with self._database.writing(f"audit {tenant}", f"baselines {tenant}") as connection:
            yield connection


def _append(connection: Connection, entry: AuditEntry) -> None:
    audit.append(connection, entry)
