"""Previews: what a suggestion would do to its run's frozen window, computed once and kept under its digest."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from server.detectors.stored import Trained
from server.domain.anomaly import Incident
from server.domain.baseline import Adjustment
from server.domain.feedback import Feedback, Verdict
from server.domain.run import Run, Stage
from server.domain.settings import WalkSettings
from server.domain.suggestion import (
    UNLABELLED,
    GateFinding,
    IncidentEffect,
    Preview,
    PreviewRow,
    Suggestion,
    SuggestionKind,
)
from server.domain.telemetry import Members, Metric
from server.errors import ApprovalStale, InvalidInput
from server.pipeline.anomalies import anomaly_id
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.counterfactual import (
    Counterfactual,
    Reach,
    Rows,
    Stored,
    changed_adjustments,
    injected_recall,
    reach_of,
    total_drift,
)
from server.pipeline.displacement import microseconds, moment
from server.pipeline.gate import Measured, gate
from server.pipeline.overlay import reapplied
from server.pipeline.table import FeatureTable
from server.services.stages import Stages
from server.services.weighing import verdicts_that_count
from server.settings import CorrectionSettings
from server.storage.base import CorrectionRecords, Records

_Verdicts = Mapping[tuple[str, int], Feedback]
_EXAMPLES = 5
_HIDDEN_SHOWN = 50
_APPROVALS_AHEAD = 5
_MOST_INCIDENTS = 500
_INCIDENTS_SHOWN = 20
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A run's window under a suggestion: everything that its preview counts."""

    run: Run
    members: Members
    table: FeatureTable
    now: BaselineSet | RawFallback
    then: BaselineSet | RawFallback
    trained_now: Trained
    trained_then: Trained
    reach: Reach
    rescored: Counterfactual


class Previews:
    """Computes and keeps previews. Reads the run's artifacts and writes none."""

    def __init__(self, records: Records, corrections: CorrectionRecords, stages: Stages, settings: CorrectionSettings) -> None:
        self._records, self._corrections, self._stages, self._settings = records, corrections, stages, settings

    def of(self, suggestion: Suggestion) -> Preview:
        """The suggestion's preview on what is stored now: a kept one if neither window nor verdicts have changed since.

        Raises:
            ApprovalStale: the run was walked on other baselines since the suggestion was made.
        """
        started = time.perf_counter()
        run = self._records.run(suggestion.fleet.tenant, suggestion.run)
        scores = run.done(Stage.SCORE)
        if scores is None or run.next_stage() is not None:
            raise ApprovalStale(
                f"run {run.id} is not walked to its end, so there is nothing to compare with. Call advance_run, then ask again."
            )
        verdicts = verdicts_that_count(self._corrections, suggestion.fleet)
        digest = _digest(suggestion, scores.digest, verdicts.values(), self._settings)
        kept = self._corrections.preview(suggestion.fleet.tenant, digest)
        if kept is not None:
            self._corrections.save_preview(suggestion.fleet.tenant, kept)  # it is the newest again
            return kept
        made = self._made(suggestion, self.counterpart(run, suggestion), verdicts, digest)
        made = made.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})
        self._corrections.save_preview(suggestion.fleet.tenant, made)
        return made

    def counterpart(self, run: Run, suggestion: Suggestion) -> Counterpart:
        """The run's window as it would be."""
        now, table = self._stages.baseline_set(run), self._stages.feature_table(run)
        trained = self._stages.trained(run)
        then = self.baselines_then(run, suggestion)
        changed_run = run.model_copy(update={"settings": settings_then(run, suggestion)})
        trained_then = trained if suggestion.settings is None else self._stages.fit(changed_run)
        stored = Stored.read(self._stages.scores(run))
        if suggestion.settings is None and isinstance(now, BaselineSet) and isinstance(then, BaselineSet):
            reach = reach_of(table, now, changed_adjustments(now.adjustments, then.adjustments))
        else:
            reach = Reach(np.arange(len(stored.time)), np.unique(stored.device).astype(np.int64))
        rescored = self._stages.engine.score_again(table, stored, reach, then, trained_then)
        return Counterpart(run, self._stages.members(run), table, now, then, trained, trained_then, reach, rescored)

    def baselines_then(self, run: Run, suggestion: Suggestion) -> BaselineSet | RawFallback:
        """The run's baselines with the overlay that the suggestion asks for. Raises `InvalidInput` if it has none to adjust."""
        now = self._stages.baseline_set(run)
        if suggestion.kind is SuggestionKind.DETECTOR_SETTINGS:
            return now
        if isinstance(now, RawFallback):
            raise InvalidInput(f"run {run.id} has no baselines to adjust: {now.reason}")
        if suggestion.kind is SuggestionKind.ROLLBACK:
            version = self._records.baseline_version(run.fleet, suggestion.rollback_to)
            # less of each where telemetry has caught up since, as with those in force
            return replace(now, adjustments=reapplied(version.adjustments if version else (), now))
        return replace(now, adjustments=(*now.adjustments, *suggestion.adjustments))

    def _made(self, suggestion: Suggestion, counterpart: Counterpart, verdicts: _Verdicts, digest: str) -> Preview:
        stored, rescored, members = counterpart.rescored.before, counterpart.rescored, counterpart.members
        after = rescored.flagged_after()
        removed, added = np.flatnonzero(stored.flagged & ~after), np.flatnonzero(after & ~stored.flagged)
        words = _Words(counterpart, verdicts)
        counted_removed, counted_added = words.count(removed), words.count(added)
        hidden = words.of_verdict(removed, Verdict.TRUE)
        recall_before, recall_after = self._recall(counterpart)
        findings = self._gate(suggestion, counterpart, counted_removed, counted_added, (recall_before, recall_after))
        return Preview(
            suggestion=suggestion.id,
            digest=digest,
            run=suggestion.run,
            base_version=suggestion.base_version,
            start=moment(int(stored.time.min())),
            end=moment(int(stored.time.max())),
            rows=len(stored.time),
            rows_rescored=len(rescored.rows),
            devices=len(counterpart.reach.devices),
            alarms_before=int(stored.flagged.sum()),
            alarms_after=int(after.sum()),
            removed=counted_removed,
            added=counted_added,
            by_day=_by_day(stored, after),
            removed_examples=tuple(words.examples(removed, _EXAMPLES)),
            added_examples=tuple(words.examples(added, _EXAMPLES)),
            hidden_true=tuple(words.examples(hidden, _HIDDEN_SHOWN)),
            incidents=tuple(self._incidents(counterpart, after, members)),
            injected_recall_before=recall_before,
            injected_recall_after=recall_after,
            false_alarms_left=self._left(suggestion, counterpart, words),
            gate=tuple(findings),
        )

    def _recall(self, counterpart: Counterpart) -> tuple[float | None, float | None]:
        if not isinstance(counterpart.now, BaselineSet) or not isinstance(counterpart.then, BaselineSet):
            return None, None
        adjusted = counterpart.trained_now is counterpart.trained_then
        metrics = _metrics_touched(counterpart.now, counterpart.then) if adjusted else counterpart.now.plan.metrics
        common = (counterpart.table, counterpart.rescored.before, counterpart.reach, metrics)
        return (
            injected_recall(*common, counterpart.now, counterpart.trained_now),
            injected_recall(*common, counterpart.then, counterpart.trained_then),
        )

    def _gate(
        self,
        suggestion: Suggestion,
        counterpart: Counterpart,
        removed: dict[str, int],
        added: dict[str, int],
        recall: tuple[float | None, float | None],
    ) -> Sequence[GateFinding]:
        then = counterpart.then
        drift = total_drift(then, counterpart.reach, counterpart.table) if isinstance(then, BaselineSet) else 0.0
        measured = Measured(
            removed=removed,
            added=added,
            alarms_before=int(counterpart.rescored.before.flagged.sum()),
            recall_before=recall[0],
            recall_after=recall[1],
            largest_move=max((abs(each.in_scales) for each in suggestion.adjustments), default=0.0),
            total_drift=drift if suggestion.kind is SuggestionKind.BASELINE_ADJUSTMENT else 0.0,
        )
        return gate(
            measured,
            max_move=self._settings.max_move,
            max_drift=self._settings.max_drift,
            adds_are_wanted=suggestion.kind is not SuggestionKind.BASELINE_ADJUSTMENT,
            sets_threshold=suggestion.kind is SuggestionKind.DETECTOR_SETTINGS,
        )

    def _left(self, suggestion: Suggestion, counterpart: Counterpart, words: "_Words") -> tuple[int, ...]:
        """False alarms still flagged after this approval and after further ones of what is then left of the displacement."""
        if suggestion.kind is not SuggestionKind.BASELINE_ADJUSTMENT or not isinstance(counterpart.now, BaselineSet):
            return ()
        judged = words.of_verdict(np.flatnonzero(counterpart.rescored.before.flagged), Verdict.FALSE_ALARM)
        reached = np.intersect1d(judged, counterpart.reach.rows)
        elsewhere = len(judged) - len(reached)
        left: list[int] = []
        for approvals in range(1, _APPROVALS_AHEAD + 1):
            share = 1.0 - (1.0 - suggestion.learning_rate) ** approvals
            ahead = tuple(_taken_in(each, share, approvals) for each in suggestion.adjustments)
            then = replace(counterpart.now, adjustments=(*counterpart.now.adjustments, *ahead))
            again = self._stages.engine.score_again(
                counterpart.table,
                counterpart.rescored.before,
                replace(counterpart.reach, rows=reached),
                then,
                counterpart.trained_now,
            )
            left.append(elsewhere + int(again.flagged.sum()))
        return tuple(left)

    def _incidents(self, counterpart: Counterpart, after: np.ndarray, members: Members) -> Iterator[IncidentEffect]:
        """What happens to the run's incidents that have a touched device, those that change most first."""
        run, stored = counterpart.run, counterpart.rescored.before
        found, _ = self._records.incidents(run.fleet.tenant, run_id=run.id, limit=_MOST_INCIDENTS)
        code = {name: number for number, name in enumerate(members.devices)}
        touched = set(counterpart.reach.devices.tolist())
        effects = (
            _effect(incident, np.array([code[name] for name in incident.devices if name in code]), stored, after)
            for incident in found
            if any(code.get(name) in touched for name in incident.devices)
        )
        changed = (each for each in effects if each.anomalies_before != each.anomalies_after)
        yield from sorted(changed, key=lambda each: (each.anomalies_after - each.anomalies_before, each.id))[:_INCIDENTS_SHOWN]


class _Words:
    """Names, verdicts and severities for rows of a window."""

    def __init__(self, counterpart: Counterpart, verdicts: _Verdicts) -> None:
        self._stored, self._fleet = counterpart.rescored.before, counterpart.run.fleet
        self._names, self._after = counterpart.members.devices, counterpart.rescored.severity_after()
        self._verdicts = verdicts

    def verdict(self, row: int) -> Feedback | None:
        """The current verdict on a row."""
        return self._verdicts.get((self._names[self._stored.device[row]], int(self._stored.time[row])))

    def count(self, rows: Rows) -> dict[str, int]:
        """Rows by verdict."""
        found = (self.verdict(row) for row in rows.tolist())
        return dict(sorted(Counter(each.verdict.value if each else UNLABELLED for each in found).items()))

    def of_verdict(self, rows: Rows, verdict: Verdict) -> Rows:
        """Those of the rows that carry the verdict."""
        chosen = [row for row in rows.tolist() if (each := self.verdict(row)) and each.verdict is verdict]
        return np.array(chosen, np.int64)

    def examples(self, rows: Rows, most: int) -> Iterator[PreviewRow]:
        """The rows of the highest severity, now or then."""
        severity = np.maximum(self._stored.severity, self._after)
        for row in rows[np.lexsort((rows, -severity[rows]))][:most].tolist():
            name, at, judged = self._names[self._stored.device[row]], int(self._stored.time[row]), self.verdict(row)
            yield PreviewRow(
                anomaly=anomaly_id(self._fleet, name, at),
                device=name,
                time=moment(at),
                metric=judged.metrics[0] if judged and judged.metrics else "",
                severity_before=float(self._stored.severity[row]),
                severity_after=float(self._after[row]),
                verdict=judged.verdict if judged else UNLABELLED,
                note=judged.note if judged else "",
            )


def settings_then(run: Run, suggestion: Suggestion) -> WalkSettings:
    """The run's settings with the detector's that the suggestion asks for."""
    if suggestion.settings is None:
        return run.settings
    return run.settings.model_copy(update={"detector": suggestion.settings})


def _taken_in(adjustment: Adjustment, share: float, approvals: int) -> Adjustment:
    """The adjustment after so many approvals, each within the bound that already cut the first."""
    within = abs(adjustment.amount) * approvals
    amount = float(np.clip(share * adjustment.full, -within, within))
    return adjustment.model_copy(update={"amount": amount})


def _metrics_touched(now: BaselineSet, then: BaselineSet) -> Sequence[Metric]:
    names = {each.feature for each in changed_adjustments(now.adjustments, then.adjustments)}
    return list({feature.metric.name: feature.metric for feature in now.features if feature.name in names}.values())


def _by_day(stored: Stored, after: np.ndarray) -> tuple[tuple[str, int, int], ...]:
    day = stored.time // _DAY
    first = int(day.min())
    before_by, after_by = (
        np.bincount(day[flags] - first, minlength=int(day.max()) - first + 1) for flags in (stored.flagged, after)
    )
    return tuple(
        (moment((first + number) * _DAY).strftime("%Y-%m-%d"), before, then)
        for number, (before, then) in enumerate(zip(before_by.tolist(), after_by.tolist(), strict=True))
    )


def _effect(incident: Incident, devices: np.ndarray, stored: Stored, after: np.ndarray) -> IncidentEffect:
    start, end = microseconds(incident.start), microseconds(incident.end)
    inside = np.isin(stored.device, devices) & (stored.time >= start) & (stored.time <= end)
    before, then = np.flatnonzero(inside & stored.flagged), np.flatnonzero(inside & after)
    delay = None if len(then) == 0 or len(before) == 0 else int(stored.time[then].min() - stored.time[before].min())
    return IncidentEffect(
        id=incident.id,
        title=incident.title,
        anomalies_before=len(before),
        anomalies_after=len(then),
        devices_before=len(np.unique(stored.device[before])),
        devices_after=len(np.unique(stored.device[then])),
        delay_hours=None if delay is None else timedelta(microseconds=delay) / timedelta(hours=1),
    )


def _digest(suggestion: Suggestion, scores: str, feedback: Iterable[Feedback], settings: CorrectionSettings) -> str:
    told = [suggestion.digest, scores, sorted((each.id, each.verdict.value) for each in feedback), settings.model_dump()]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:32]
