"""Suggestions: from verdicts to adjustments, from precision to an alert budget, and back to an earlier version."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from server.domain.anomaly import Incident
from server.domain.audit import AuditEntry
from server.domain.baseline import Adjustment, BaselineVersion
from server.domain.feedback import Feedback, FeedbackFilter, Verdict
from server.domain.identity import Principal, Scope
from server.domain.memory import RecallQuery
from server.domain.run import Run, Stage
from server.domain.suggestion import Evidence, StandingSuggestion, Suggestion, SuggestionKind, SuggestionStatus
from server.domain.telemetry import Fleet, Frozen
from server.errors import InvalidInput, NotFound, StageNotReady
from server.pipeline.adjust import Draft, JudgedRow, Limits, Refusal, draft_adjustments
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.displacement import Displacement, measure
from server.pipeline.exclusion import open_incidents
from server.pipeline.overlay import origin
from server.services.disputes import SETTLED, Refused, outside_young, undisputed
from server.services.fleets import fleet_named, shown_run
from server.services.ledger import Ledger
from server.services.reading.words import counted
from server.services.recollection import Recollection
from server.services.stages import Stages
from server.services.tuning import Direction, changed, difference, direction_of, step
from server.settings import CorrectionSettings
from server.storage.base import CorrectionRecords, Records

_MOST_FEEDBACK = 100_000
_MOST_INCIDENTS = 500
_REMEMBERED = 3


class Suggested(Frozen):
    """Suggestions that a person may now look at and decide on, and what was refused and why."""

    suggestions: tuple[StandingSuggestion, ...]
    refused: tuple[Refused, ...] = ()
    summary: str


@dataclass(frozen=True, slots=True)
class Stores:
    """Where corrections are kept."""

    records: Records
    corrections: CorrectionRecords
    recollection: Recollection


class Suggesting:
    """Makes suggestions and stores them, pending."""

    def __init__(
        self, stores: Stores, stages: Stages, ledger: Ledger, settings: CorrectionSettings, clock: Callable[[], datetime]
    ) -> None:
        self._records, self._corrections, self._recollection = stores.records, stores.corrections, stores.recollection
        self._stages, self._ledger, self._settings, self._clock = stages, ledger, settings, clock

    def adjustments(
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        device: str | None = None,
        metric: str | None = None,
        cohort: str | None = None,
    ) -> Suggested:
        """Adjustments that current false-alarm verdicts speak for, one suggestion a group, narrowed as asked.

        Raises:
            StageNotReady: the fleet's run is not walked to its end on the baselines in force; it names the stage to call.
            InvalidInput: the run has no baselines.
        """
        who.require(Scope.FEEDBACK)
        run, version = self._current(fleet_named(self._records, who.tenant, fleet))
        baselines = self._baselines(run)
        wanted = FeedbackFilter(fleet=run.fleet.name, device=device, metric=metric)
        given, _ = self._corrections.feedback(who.tenant, wanted, limit=_MOST_FEEDBACK)
        chosen = [each for each in given if each.verdict in {Verdict.FALSE_ALARM, Verdict.TRUE}]
        if cohort is not None:
            chosen = [each for each in chosen if cohort.casefold() in " / ".join(each.cohort).casefold()]
        kept, refused = outside_young(chosen, self._young_incidents(run))
        kept, disputed = undisputed(kept)
        refused += disputed
        false = [each for each in kept if each.verdict is Verdict.FALSE_ALARM]
        if not false:
            if not refused:
                refused.append(Refused(reason="there is no false-alarm verdict. Mark anomalies with record_feedback first."))
            return Suggested(suggestions=(), refused=tuple(refused), summary=f"No suggestion: {refused[0].reason}")
        drafts, more = self._drafts(run, baselines, kept)
        refused += [Refused(feature=each.feature, group=each.group, reason=each.reason) for each in more]
        standing = [self._stored(who, each) for each in self._adjusting(who, run, version, drafts)]
        return Suggested(suggestions=tuple(standing), refused=tuple(refused), summary=_summary(standing, refused))

    def detector_settings(
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        contamination: float | None = None,
        alerts_per_day: float | None = None,
        domain_weights: Mapping[str, float] | None = None,
        direction: Direction | None = None,
    ) -> Suggested:
        """A change of threshold or domain weights: as stated, or halved or doubled in a direction, or as verdicts say.

        Too many false alarms mean a lower contamination (or budget), too many missed ones a higher one. Without a direction the
        precision on verdicts decides: below a half fewer, with more missed than flagged true more.
        """
        who.require(Scope.FEEDBACK)
        run, version = self._current(fleet_named(self._records, who.tenant, fleet))
        now = run.settings.detector
        evidence, reason = Evidence(), "asked for"
        change: dict[str, object] = {}
        if contamination is not None:
            change |= {"contamination": contamination, "alerts_per_day": None}
        if alerts_per_day is not None:
            change |= {"alerts_per_day": alerts_per_day}
        if domain_weights is not None:
            self._check_domains(run, domain_weights)
            change |= {"domain_weights": {**now.domain_weights, **domain_weights}}
        if not change:
            wanted = FeedbackFilter(fleet=run.fleet.name)
            given, _ = self._corrections.feedback(who.tenant, wanted, limit=_MOST_FEEDBACK)
            direction, evidence, reason = direction_of(given, direction)
            if direction is None:
                return Suggested(suggestions=(), refused=(Refused(reason=reason),), summary=f"No suggestion: {reason}")
            change = step(now, direction)
        then = changed(now, change)
        suggestion = self._suggestion(
            who,
            run,
            version,
            SuggestionKind.DETECTOR_SETTINGS,
            evidence=evidence,
            reason=f"{difference(now, then)}: {reason}",
            settings=then,
        )
        standing = [self._stored(who, suggestion)]
        return Suggested(suggestions=tuple(standing), summary=_summary(standing, ()))

    def rollback(self, who: Principal, *, fleet: str | None = None, to_version: int | None = None) -> Suggested:
        """A return to an earlier version's adjustments: the newest that differs from those in force, unless told which.

        Raises:
            NotFound: there is no such version.
            InvalidInput: that version's adjustments are in force, there is nothing to undo, or the run has no baselines.
        """
        who.require(Scope.FEEDBACK)
        run, version = self._current(fleet_named(self._records, who.tenant, fleet))
        now = Counter(origin(each) for each in self._baselines(run).adjustments)
        target = self._target(run.fleet, version, now, to_version)
        then = Counter(origin(each) for each in target.adjustments)
        reason = (
            f"back to version {target.version} of {target.created:%Y-%m-%d %H:%M} UTC: "
            f"{(now - then).total()} adjustments go, {(then - now).total()} come back"
        )
        suggestion = self._suggestion(
            who, run, version, SuggestionKind.ROLLBACK, evidence=Evidence(), reason=reason, rollback_to=target.version
        )
        standing = [self._stored(who, suggestion)]
        return Suggested(suggestions=tuple(standing), summary=_summary(standing, ()))

    def _current(self, fleet: Fleet) -> tuple[Run, int]:
        """The run that is shown, and the number of the version in force that it was walked on.

        A run on raw features stands on none; it goes with whatever is in force, 0 for nothing.
        """
        run = shown_run(self._records, fleet)
        version = self._records.baseline_version(fleet)
        due, record = run.next_stage(), run.done(Stage.BASELINES)
        if due is not None:
            raise StageNotReady("a suggestion", due.value, "missing or stale")
        if record is not None and record.fallback:
            return run, version.version if version else 0
        if version is None or record is None or record.digest != version.digest:
            raise StageNotReady(
                "a suggestion", Stage.PERSIST.value, "of another run than the baselines in force; walk that first"
            )
        return run, version.version

    def _baselines(self, run: Run) -> BaselineSet:
        found = self._stages.baseline_set(run)
        if isinstance(found, RawFallback):
            raise InvalidInput(f"run {run.id} has no baselines to adjust: {found.reason}")
        return found

    def _young_incidents(self, run: Run) -> list[Incident]:
        """The run's incidents that are open and began too lately to be told from a fault."""
        found, _ = self._records.incidents(run.fleet.tenant, run_id=run.id, limit=_MOST_INCIDENTS)
        window = self._stages.feature_table(run).plan.window
        last = max((each.end for each in found), default=run.created)
        return [each for each in open_incidents(found, window) if each.start > last - SETTLED]

    def _drafts(self, run: Run, baselines: BaselineSet, given: Sequence[Feedback]) -> tuple[Sequence[Draft], Sequence[Refusal]]:
        table, members = self._stages.feature_table(run), self._stages.members(run)
        code = {name: number for number, name in enumerate(members.devices)}
        rows = measure(table, members, baselines, sorted({each.device for each in given if each.device in code}))
        judged = list(_judged(rows, given, code))
        limits = Limits(
            min_verdicts=self._settings.min_verdicts,
            min_devices=self._settings.min_devices,
            lone_author_factor=self._settings.lone_author_factor,
            max_move=self._settings.max_move,
            max_drift=self._settings.max_drift,
        )
        return draft_adjustments(rows, judged, baselines, learning_rate=self._settings.learning_rate, limits=limits)

    def _adjusting(self, who: Principal, run: Run, version: int, drafts: Sequence[Draft]) -> Iterator[Suggestion]:
        """One suggestion for each group that drafts speak of: a person decides on a group's new normal as a whole."""
        by_group: dict[tuple[str, str], list[Draft]] = defaultdict(list)
        for draft in drafts:
            by_group[draft.adjustment.level.value, draft.adjustment.group].append(draft)
        for (level, group), own in by_group.items():
            feedback = tuple(sorted({each for draft in own for each in draft.feedback}))
            evidence = Evidence(
                verdicts=len(feedback),
                devices=max(draft.devices for draft in own),
                authors=tuple(sorted({each for draft in own for each in draft.authors})),
                contradicting=max(draft.contradicting for draft in own),
                affected_share=min(draft.affected_share for draft in own),
                psi=max((draft.psi for draft in own if draft.psi is not None), default=None),
                feedback=feedback,
                remembered=self._remembered(run.fleet, own, group),
            )
            yield self._suggestion(
                who,
                run,
                version,
                SuggestionKind.BASELINE_ADJUSTMENT,
                evidence=evidence,
                reason=_reason(level, group, own, evidence, self._settings.learning_rate),
                adjustments=tuple(draft.adjustment for draft in own),
            )

    def _remembered(self, fleet: Fleet, drafts: Sequence[Draft], group: str) -> tuple[str, ...]:
        signature = {each.adjustment.feature: each.adjustment.full / each.adjustment.scale for each in drafts}
        recalled = self._recollection.evidence(
            RecallQuery(tenant=fleet.tenant, fleet=fleet.name, signature=signature, words=group), limit=_REMEMBERED
        )
        return tuple(
            f"{each.time:%Y-%m-%d} {each.by}: {each.outcome}{' (undone)' if each.undone else ''}"
            for each in (one.decision for one in recalled)
        )

    def _check_domains(self, run: Run, weights: Mapping[str, float]) -> None:
        known = sorted({metric.domain for metric in self._records.metrics(run.fleet)})
        for domain in weights:
            if domain not in known:
                raise NotFound("metric domain", domain, known, listed_by="get_detector")

    def _target(self, fleet: Fleet, version: int, now: Counter[Adjustment], wanted: int | None) -> BaselineVersion:
        """The version to go back to. Versions that differ only in what is left of the same approvals are no way back."""
        if wanted is not None:
            found = self._records.baseline_version(fleet, wanted)
            if found is None:
                raise NotFound("baseline version", str(wanted), listed_by="list_baselines")
            if Counter(origin(each) for each in found.adjustments) == now:
                raise InvalidInput(f"version {wanted} has the adjustments that are in force. Nothing would change.")
            return found
        for number in range(version - 1, 0, -1):
            found = self._records.baseline_version(fleet, number)
            if found is not None and Counter(origin(each) for each in found.adjustments) != now:
                return found
        raise InvalidInput("no earlier version has other adjustments: there is nothing to undo.")

    def _suggestion(self, who: Principal, run: Run, version: int, kind: SuggestionKind, **parts: object) -> Suggestion:
        """A suggestion whose id follows from what it says, so that asking twice does not make two."""
        now = self._clock()
        told = [run.fleet.model_dump(), run.id, kind.value, version, _content(parts)]
        identity = hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:10]
        return Suggestion.model_validate(
            {
                "id": f"s-{identity}",
                "fleet": run.fleet,
                "run": run.id,
                "kind": kind,
                "base_version": version,
                "learning_rate": self._settings.learning_rate,
                "proposer": who.name,
                "created": now,
                "expires": now + timedelta(days=self._settings.expires_days),
                **parts,
            }
        )

    def _stored(self, who: Principal, suggestion: Suggestion) -> StandingSuggestion:
        """The suggestion as it stands: as stored before, unless that one is over; then the same under the next free id."""
        now, first = self._clock(), suggestion.id
        for number in count(2):
            try:
                known = self._corrections.suggestion(who.tenant, suggestion.id, now=now)
            except NotFound:
                break
            if not self._is_over(known):
                return known
            suggestion = suggestion.model_copy(update={"id": f"{first}-{number}"})
        audit = AuditEntry.of(who, "suggest", suggestion.id, {"digest": suggestion.digest}, now)
        self._corrections.add_suggestion(suggestion, audit)
        return self._corrections.suggestion(who.tenant, suggestion.id, now=now)

    def _is_over(self, known: StandingSuggestion) -> bool:
        """Whether it can never be applied any more, or was and has been changed back since."""
        done = {SuggestionStatus.EXPIRED, SuggestionStatus.APPLIED, SuggestionStatus.STALE}
        return known.status in done or self._ledger.settings_changed_since(known.suggestion)


def _content(parts: Mapping[str, object]) -> list[str]:
    """What a suggestion is, apart from how it is told: what is remembered of like cases changes by the day."""
    evidence = parts["evidence"]
    verdicts = evidence.feedback if isinstance(evidence, Evidence) else ()
    return [str(parts.get(name)) for name in ("adjustments", "settings", "rollback_to")] + list(verdicts)


def _judged(rows: Displacement, given: Sequence[Feedback], code: Mapping[str, int]) -> Iterator[JudgedRow]:
    for each in given:
        row = rows.row_of(code[each.device], each.time) if each.device in code else None
        if row is not None:
            yield JudgedRow(row, each)


def _reason(level: str, group: str, drafts: Sequence[Draft], evidence: Evidence, rate: float) -> str:
    """Why, in one line whose numbers are those of the drafts."""
    moves = ", ".join(
        f"{draft.adjustment.feature} by {draft.adjustment.amount:+.4g} ({draft.adjustment.in_scales:+.2f} scales)"
        for draft in drafts
    )
    since = next((draft.adjustment.since for draft in drafts if draft.adjustment.since), None)
    onset = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
    return (
        f"{counted(evidence.verdicts, 'false-alarm verdict')} on {counted(evidence.devices, 'device')} of {level} {group}: "
        f"{100 * (evidence.affected_share or 0):.0f} % of its devices have moved{onset}. Moves {moves}, which is "
        f"{100 * rate:.0f} % of the median displacement of the judged devices, within bounds."
    )


def _summary(standing: Sequence[StandingSuggestion], refused: Sequence[Refused]) -> str:
    if not standing:
        return f"No suggestion: {refused[0].reason}" if refused else "No suggestion."
    names = ", ".join(f"{each.suggestion.id} ({each.status.value})" for each in standing)
    aside = f"; {len(refused)} refused" if refused else ""
    return f"{len(standing)} suggestions: {names}{aside}. Nothing has changed; preview_suggestion shows what each would do."
