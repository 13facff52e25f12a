"""Facts in SQL as decisions to remember, and what recalled ones say together. Pure: no store is asked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from server.domain.baseline import Adjustment, Level, Statistic
from server.domain.feedback import Feedback, Verdict
from server.domain.memory import DecisionKind, Recalled, RememberedDecision
from server.domain.suggestion import StandingSuggestion, SuggestionKind, SuggestionStatus
from server.errors import InvalidInput

MOST_NAMES = 20
"""Devices, cohorts and metrics that one decision names."""
_SAID = {
    Verdict.FALSE_ALARM: "false alarm",
    Verdict.TRUE: "true, a real fault",
    Verdict.EXPECTED: "expected, real but known",
    Verdict.MISSED: "missed, should have been flagged",
}
_COUNTED = {
    "applied": ("applied", "applied"),
    "approved": ("approved", "approved"),
    "rejected": ("rejected", "rejected"),
    "undone": ("undone", "undone"),
    "false_alarm": ("false alarm", "false alarms"),
    "true": ("true", "true"),
    "expected": ("expected", "expected"),
    "missed": ("missed", "missed"),
}
"""Outcomes in words, one and several, in the order they are told."""
_SUGGESTIONS = (DecisionKind.SUGGESTION, DecisionKind.ROLLBACK)


def of_act(feedbacks: Sequence[Feedback], domains: Mapping[str, str], title: str) -> RememberedDecision:
    """One act of feedback, however many rows it judged; `title` is the incident's or what else a person saw.

    The signature holds the median z-score of the rows that name a feature, for features named at least half as often as
    the commonest. `domains` gives the metric domain by metric.

    Raises:
        InvalidInput: there is no feedback.
    """
    if not feedbacks:
        raise InvalidInput("an act without verdicts cannot be remembered. Pass all feedback rows of one act.")
    first = feedbacks[0]
    metrics = _commonest(metric for each in feedbacks for metric in each.metrics)
    cohorts = _commonest(" / ".join(each.cohort) for each in feedbacks if each.cohort)
    notes = _commonest(each.note for each in feedbacks if each.note.strip())
    return RememberedDecision(
        id=first.act,
        kind=DecisionKind.MISSED if first.verdict is Verdict.MISSED else DecisionKind.VERDICT,
        fleet=first.fleet,
        outcome=first.verdict.value,
        words=_words(_SAID[first.verdict], title, *notes[:1], _listed(metrics), _listed(cohorts)),
        signature=_signature([each.signature for each in feedbacks]),
        domains={metric: domains[metric] for metric in metrics if metric in domains},
        cohort=cohorts,
        devices=_commonest(each.device for each in feedbacks),
        metrics=metrics,
        rows=len(feedbacks),
        by=first.author,
        time=max(each.created for each in feedbacks),
        subject=first.incident if all(each.incident == first.incident for each in feedbacks) else "",
    )


def of_suggestion(standing: StandingSuggestion, domains: Mapping[str, str]) -> RememberedDecision:
    """One decided suggestion or rollback. Its signature is how far, in robust scales, each feature was displaced.

    Raises:
        InvalidInput: nobody has decided it.
    """
    suggestion, decision = standing.suggestion, standing.decision
    outcome = _outcome(standing)
    metrics = _commonest(_metric_of(adjustment) for adjustment in suggestion.adjustments)
    cohorts = _groups(suggestion.adjustments, Level.COHORT)
    named = [f"{each.level.value} {each.group} {each.feature}" for each in suggestion.adjustments[:MOST_NAMES]]
    return RememberedDecision(
        id=suggestion.id,
        kind=DecisionKind.ROLLBACK if suggestion.kind is SuggestionKind.ROLLBACK else DecisionKind.SUGGESTION,
        fleet=suggestion.fleet,
        outcome=outcome,
        words=_words(
            f"{suggestion.kind.value.replace('_', ' ')} {outcome}",
            suggestion.reason,
            decision.reason if decision else "",
            _listed(named),
        ),
        signature=_signature([{each.feature: each.full / each.scale} for each in suggestion.adjustments], share=0.0),
        domains={metric: domains[metric] for metric in metrics if metric in domains},
        cohort=cohorts,
        devices=_groups(suggestion.adjustments, Level.DEVICE),
        metrics=metrics,
        rows=suggestion.evidence.verdicts,
        by=decision.by if decision else suggestion.proposer,
        time=decision.time if decision else suggestion.created,
        subject=suggestion.id,
    )


def conflicts(recalled: Sequence[Recalled]) -> str:
    """What recalled decisions say together, such as "2 applied (1 since undone), 1 rejected; 3 false alarms, 1 true"."""
    decisions = [each.decision for each in recalled]
    changes = [decision for decision in decisions if decision.kind in _SUGGESTIONS]
    verdicts = [decision for decision in decisions if decision.kind not in _SUGGESTIONS]
    parts = [part for part in (_counted(changes) + _for_cohort(changes), _counted(verdicts)) if part]
    return "; ".join(parts) or "no decision on a like case is remembered"


def _outcome(standing: StandingSuggestion) -> str:
    if standing.status in (SuggestionStatus.APPROVED, SuggestionStatus.REJECTED, SuggestionStatus.APPLIED):
        return standing.status.value
    if standing.decision is None:
        raise InvalidInput(
            f"suggestion {standing.suggestion.id} is {standing.status.value}: nobody decided it. Remember it once someone has."
        )
    return "approved" if standing.decision.approved else "rejected"


def _signature(rows: Sequence[Mapping[str, float]], *, share: float = 0.5) -> dict[str, float]:
    named: dict[str, list[float]] = {}
    for row in rows:
        for feature, z in row.items():
            named.setdefault(feature, []).append(z)
    least = share * max(map(len, named.values()), default=0)
    return {feature: median(values) for feature, values in named.items() if len(values) >= least}


def _metric_of(adjustment: Adjustment) -> str:
    name = adjustment.feature.removesuffix("_vs_cohort")
    endings = [f"_{statistic.value}" for statistic in Statistic if name.endswith(f"_{statistic.value}")]
    return name.removesuffix(endings[0]) if endings else name


def _groups(adjustments: Sequence[Adjustment], level: Level) -> tuple[str, ...]:
    return _commonest(each.group for each in adjustments if each.level is level)


def _commonest(names: Iterable[str]) -> tuple[str, ...]:
    counts = Counter(names)
    return tuple(sorted(counts, key=lambda name: -counts[name]))[:MOST_NAMES]


def _words(*parts: str) -> str:
    return ". ".join(part.strip().rstrip(".") for part in parts if part.strip())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _counted(decisions: Sequence[RememberedDecision]) -> str:
    told = [*_COUNTED, *sorted({decision.outcome for decision in decisions} - set(_COUNTED))]
    alike = {outcome: [decision for decision in decisions if decision.outcome == outcome] for outcome in told}
    return ", ".join(_tally(outcome, some) for outcome, some in alike.items() if some)


def _tally(outcome: str, decisions: Sequence[RememberedDecision]) -> str:
    one, several = _COUNTED.get(outcome, (outcome, outcome))
    undone = 0 if outcome == "undone" else sum(decision.undone for decision in decisions)
    since = f" ({undone} since undone)" if undone else ""
    return f"{len(decisions)} {one if len(decisions) == 1 else several}{since}"


def _for_cohort(decisions: Sequence[RememberedDecision]) -> str:
    cohorts = {cohort for decision in decisions for cohort in decision.cohort}
    alone = len(cohorts) == 1 and all(decision.cohort for decision in decisions)
    return f" for cohort {next(iter(cohorts))[:80]!r}" if alone else ""
