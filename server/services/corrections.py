"""Corrections: suggestions, their previews, a person's decision, and applying it. Nothing changes without that decision."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from server.domain.audit import AuditEntry
from server.domain.baseline import BaselineVersion
from server.domain.identity import Principal, Scope
from server.domain.run import Run, Stage
from server.domain.suggestion import (
    Applied,
    Decision,
    Effect,
    Preview,
    StandingSuggestion,
    Suggestion,
    SuggestionKind,
    SuggestionStatus,
)
from server.domain.telemetry import Frozen
from server.errors import AdjustmentOutOfBounds, ApprovalMissing, ApprovalStale, GateClosed, InvalidInput, NotAllowed
from server.pipeline.baselines import BaselineSet
from server.pipeline.overlay import may_overlap
from server.pipeline.stored import baseline_rows
from server.services.ledger import Ledger
from server.services.previews import Previews, settings_then
from server.services.suggesting import Direction, Stores, Suggested, Suggesting
from server.services.walk import StageProgress, Walk, silent
from server.settings import CorrectionSettings
from server.storage.base import Application

_WHERE = "A person decides: in the chat, on the approval page, or with `anomalyst approve {id}`."


class SuggestionPage(Frozen):
    """Suggestions, newest first."""

    suggestions: tuple[StandingSuggestion, ...]
    total: int
    truncated: bool


class Corrections:
    """From suggestion to changed scores, with a person in between."""

    def __init__(self, stores: Stores, walk: Walk, settings: CorrectionSettings, clock: Callable[[], datetime]) -> None:
        self._stores, self._walk, self._settings, self._clock = stores, walk, settings, clock
        self._ledger = Ledger(stores.records, stores.corrections, walk.stages, stores.recollection, clock)
        self._suggesting = Suggesting(stores, walk.stages, self._ledger, settings, clock)
        self._previews = Previews(stores.records, stores.corrections, walk.stages, settings)

    def suggest_adjustments(
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        device: str | None = None,
        metric: str | None = None,
        cohort: str | None = None,
    ) -> Suggested:
        """See `Suggesting.adjustments`. A policy that is configured to may approve and apply small, safe ones at once."""
        suggested = self._suggesting.adjustments(who, fleet=fleet, device=device, metric=metric, cohort=cohort)
        standing = tuple(self._by_policy(each) for each in suggested.suggestions)
        return suggested.model_copy(update={"suggestions": standing})

    def suggest_settings(
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        contamination: float | None = None,
        alerts_per_day: float | None = None,
        domain_weights: Mapping[str, float] | None = None,
        direction: Direction | None = None,
    ) -> Suggested:
        """See `Suggesting.detector_settings`."""
        return self._suggesting.detector_settings(
            who,
            fleet=fleet,
            contamination=contamination,
            alerts_per_day=alerts_per_day,
            domain_weights=domain_weights,
            direction=direction,
        )

    def suggest_rollback(self, who: Principal, *, fleet: str | None = None, to_version: int | None = None) -> Suggested:
        """See `Suggesting.rollback`."""
        return self._suggesting.rollback(who, fleet=fleet, to_version=to_version)

    def get(self, who: Principal, suggestion_id: str) -> StandingSuggestion:
        """The suggestion as it stands now. Raises `NotFound` with near matches."""
        who.require(Scope.READ)
        return self._stores.corrections.suggestion(who.tenant, suggestion_id, now=self._clock())

    def page(
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        status: SuggestionStatus | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> SuggestionPage:
        """Suggestions, newest first."""
        who.require(Scope.READ)
        found, total = self._stores.corrections.suggestions(
            who.tenant, now=self._clock(), fleet=fleet, status=status, limit=limit, offset=offset
        )
        return SuggestionPage(suggestions=tuple(found), total=total, truncated=offset + len(found) < total)

    def preview(self, who: Principal, suggestion_id: str) -> Preview:
        """What the suggestion would do, re-scored on its run's window; of an applied one, what was promised.

        Raises:
            ApprovalStale: it can no longer be applied, so there is nothing to preview.
        """
        standing = self.get(who, suggestion_id)
        if standing.status is SuggestionStatus.APPLIED:
            effect = self._stores.corrections.effect(who.tenant, suggestion_id)
            if effect is not None:
                return effect.promised
        if standing.status in {SuggestionStatus.STALE, SuggestionStatus.EXPIRED}:
            if standing.preview is not None:
                return standing.preview
            raise ApprovalStale(f"suggestion {suggestion_id} is {standing.status.value}. Ask for a new one.")
        return self._previews.of(standing.suggestion)

    def decide(
        self,
        who: Principal,
        suggestion_id: str,
        *,
        approved: bool,
        digest: str,
        reason: str = "",
        override: Sequence[str] = (),
    ) -> StandingSuggestion:
        """Record a person's decision on exactly the content that they saw, given by its digest. Applies nothing.

        `override` names findings of the gate that they accept: only those that can be, and only by someone who neither proposed
        the change nor gave its verdicts.

        Raises:
            NotAllowed: without the scope, or where another person has to decide.
            GateClosed: the preview found harm that is not overridden.
            AdjustmentOutOfBounds: it moves a centre farther than the bounds allow by now.
            ApprovalStale: it is no longer pending, or its content is another.
        """
        who.require(Scope.APPROVE)
        now = self._clock()
        standing = self.get(who.model_copy(update={"scopes": frozenset(Scope)}), suggestion_id)
        suggestion = standing.suggestion
        if approved:
            if self._settings.four_eyes and who.name == suggestion.proposer:
                raise NotAllowed(f"{who.name} proposed {suggestion_id}; someone else has to approve it.")
            if standing.status is SuggestionStatus.PENDING and digest == suggestion.digest:
                self._require_current(suggestion)
                self._check_gate(suggestion, who.name, tuple(override))
        decision = Decision(
            suggestion=suggestion_id,
            digest=digest,
            approved=approved,
            by=who.name,
            channel=who.channel,
            time=now,
            expires=now + timedelta(hours=self._settings.approval_hours),
            reason=reason,
            override=tuple(override),
        )
        action = "approve" if approved else "reject"
        decided = self._stores.corrections.decide(
            who.tenant, decision, AuditEntry.of(who, action, suggestion_id, decision.model_dump(mode="json"), now)
        )
        self._stores.recollection.decided(decided)
        return decided

    def apply(self, who: Principal, suggestion_id: str, progress: StageProgress = silent) -> Applied:
        """Put an approved suggestion into force, then walk on: retrain, re-score, persist. Called again, it goes on or repeats.

        Raises:
            ApprovalMissing: no person approved it; the message says where one can.
            ApprovalStale: the approval is of another content or base version, or has expired.
            GateClosed: verdicts given since the approval make it hide what is marked true.
        """
        who.require(Scope.FEEDBACK)
        standing = self.get(who.model_copy(update={"scopes": frozenset(Scope)}), suggestion_id)
        effect = self._stores.corrections.effect(who.tenant, suggestion_id)
        if effect is None:
            effect = self._apply(who, standing)
        run = self._walk.advance(who.tenant, effect.run, progress=progress)
        effect = self._ledger.completed(effect, run)
        standing = self._stores.corrections.suggestion(who.tenant, suggestion_id, now=self._clock())
        self._stores.recollection.decided(standing, undone=bool(effect.undone_by))
        due = run.next_stage()
        return Applied(
            suggestion=suggestion_id,
            version_before=effect.version_before,
            version_after=effect.version_after,
            effect=effect,
            run=run.id,
            next_tool=due.value if due else None,
        )

    def effects(self, who: Principal, *, fleet: str | None = None, limit: int = 20) -> Sequence[Effect]:
        """The ledger, newest first: whose verdicts changed what, what was promised and what happened."""
        who.require(Scope.READ)
        return self._stores.corrections.effects(who.tenant, fleet=fleet, limit=limit)

    def _apply(self, who: Principal, standing: StandingSuggestion) -> Effect:
        suggestion, decision = standing.suggestion, standing.decision
        if standing.status in {SuggestionStatus.PENDING, SuggestionStatus.REJECTED}:
            said = "was rejected" if standing.status is SuggestionStatus.REJECTED else "is pending"
            raise ApprovalMissing(f"suggestion {suggestion.id} {said}. {_WHERE.format(id=suggestion.id)}")
        if standing.status is not SuggestionStatus.APPROVED or decision is None:
            raise ApprovalStale(
                f"suggestion {suggestion.id} is {standing.status.value}: other baselines are in force, or its time is over. "
                "Ask for a new suggestion, and let a person decide on that."
            )
        self._require_current(suggestion)
        preview = self._check_gate(suggestion, decision.by, decision.override)
        run = self._stores.records.run(who.tenant, suggestion.run)
        application = self._application(who, suggestion, decision, preview, run)
        return self._stores.corrections.apply(application, now=self._clock())

    def _application(
        self, who: Principal, suggestion: Suggestion, decision: Decision, preview: Preview, run: Run
    ) -> Application:
        """Everything that is to be stored in one transaction."""
        now, version, statistics = self._clock(), None, None
        if suggestion.kind is SuggestionKind.DETECTOR_SETTINGS:
            below = {Stage.TRAIN, Stage.SCORE, Stage.PERSIST}
            kept = {stage: record for stage, record in run.stages.items() if stage not in below}
            then = run.model_copy(update={"settings": settings_then(run, suggestion), "stages": kept})
        else:
            baselines = self._previews.baselines_then(run, suggestion)
            if not isinstance(baselines, BaselineSet):
                raise InvalidInput(f"run {run.id} has no baselines to adjust.")
            version, statistics = self._version(suggestion, run, baselines, now), baseline_rows(baselines)
            record = run.stages[Stage.BASELINES]
            changed = {"digest": version.digest, "artifact": version.artifact, "summary": version.reason, "finished": now}
            then = run.with_record(record.model_copy(update=changed))
        effect = Effect(
            suggestion=suggestion.id,
            fleet=suggestion.fleet,
            run=run.id,
            kind=suggestion.kind,
            version_before=suggestion.base_version,
            version_after=suggestion.base_version,
            feedback=suggestion.evidence.feedback,
            approver=decision.by,
            applied=now,
            promised=preview,
            alarms_before=preview.alarms_before,
            scores_before=run.stages[Stage.SCORE].artifact,
        )
        audit = AuditEntry.of(who, "apply_feedback", suggestion.id, {"digest": suggestion.digest, "approver": decision.by}, now)
        return Application(suggestion, then, version, statistics, effect, audit)

    def _version(self, suggestion: Suggestion, run: Run, baselines: BaselineSet, now: datetime) -> BaselineVersion:
        artifact = self._walk.stages.write_baselines(run, baselines)
        return BaselineVersion(
            fleet=run.fleet,
            version=1,
            run=run.id,
            digest=self._walk.stages.digest(artifact),
            artifact=artifact,
            created=now,
            reason=f"{suggestion.kind.value} {suggestion.id}: {suggestion.reason}",
            groups={level.level: len(level.groups) for level in baselines.levels},
            adjustments=baselines.adjustments,
        )

    def _require_current(self, suggestion: Suggestion) -> None:
        if self._ledger.settings_changed_since(suggestion):
            raise ApprovalStale(
                f"suggestion {suggestion.id} was made for detector settings that are no longer in force. "
                "Ask for a new suggestion, and let a person decide on that."
            )

    def _check_gate(self, suggestion: Suggestion, by: str, override: Sequence[str]) -> Preview:
        """The preview as of now, if nothing speaks against the change but what was overridden by someone who may."""
        preview = self._previews.of(suggestion)
        closed = [finding for finding in preview.gate if not finding.passed]
        beyond = [finding.detail for finding in closed if not finding.overridable]
        if beyond:
            raise AdjustmentOutOfBounds(f"suggestion {suggestion.id}: {'; '.join(beyond)}. Ask for a smaller one.")
        stuck = [finding for finding in closed if finding.rule not in override]
        if stuck:
            told = "; ".join(f"{finding.rule}: {finding.detail}" for finding in stuck)
            names = ", ".join(finding.rule for finding in stuck)
            raise GateClosed(
                f"suggestion {suggestion.id} is held back. {told}. A second person can accept {names}, named as an override."
            )
        if closed and by in {suggestion.proposer, *suggestion.evidence.authors}:
            raise GateClosed(f"{by} proposed this or gave its verdicts; a second person has to accept what the gate found.")
        return preview

    def _by_policy(self, standing: StandingSuggestion) -> StandingSuggestion:
        """The suggestion, approved and applied if a policy is configured and all its bounds hold."""
        settings = self._settings
        if not settings.auto_apply:
            return standing
        # read again: another one of the same call may have been applied, and left this one stale
        standing = self._stores.corrections.suggestion(
            standing.suggestion.fleet.tenant, standing.suggestion.id, now=self._clock()
        )
        suggestion = standing.suggestion
        heard = len(suggestion.evidence.authors) >= settings.auto_apply_authors and not suggestion.evidence.contradicting
        if standing.status is not SuggestionStatus.PENDING or not (heard and self._stays_small(suggestion)):
            return standing
        if not self._previews.of(suggestion).open:
            return standing
        policy = Principal(
            name=f"policy {settings.auto_apply}", tenant=suggestion.fleet.tenant, scopes=frozenset(Scope), channel="policy"
        )
        self.decide(policy, suggestion.id, approved=True, digest=suggestion.digest, reason="within the policy's bounds")
        self.apply(policy, suggestion.id)
        return self.get(policy, suggestion.id)

    def _stays_small(self, suggestion: Suggestion) -> bool:
        """Whether no centre is moved by more than the policy's bound, what was approved before included.

        Without that, asking again and again would move it as far as a person may.
        """
        version = self._stores.records.baseline_version(suggestion.fleet)
        in_force = version.adjustments if version else ()
        return all(
            abs(new.in_scales) + sum(abs(each.in_scales) for each in in_force if may_overlap(each, new))
            <= self._settings.auto_apply_scales
            for new in suggestion.adjustments
        )
