"""What becomes of facts when they are remembered, and what recalled decisions say together."""

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.baseline import Adjustment, Level
from server.domain.feedback import Feedback, Verdict
from server.domain.memory import DecisionKind, Recalled, RememberedDecision
from server.domain.suggestion import Decision, StandingSuggestion, Suggestion, SuggestionKind, SuggestionStatus
from server.domain.telemetry import Fleet
from server.errors import InvalidInput
from server.services.remembering import MOST_NAMES, conflicts, of_act, of_suggestion

NOW = datetime(2026, 5, 1, tzinfo=UTC)
FLEET = Fleet(tenant="acme")


def _feedback(n: int, **given) -> Feedback:
    usual = {
        "id": f"f{n}",
        "act": "act1",
        "fleet": FLEET,
        "run": "r",
        "verdict": Verdict.FALSE_ALARM,
        "device": f"d{n}",
        "time": NOW,
        "cohort": ("Zebra", "TC57", "13"),
        "incident": "i1",
        "metrics": ("Download",),
        "signature": {"Download_mean": float(n)},
        "note": "kiosks.",
        "author": "ann",
        "channel": "cli",
        "created": NOW + timedelta(minutes=n),
    }
    return Feedback.model_validate(usual | given)


def _standing(status: SuggestionStatus, *, approved: bool | None = True, **given) -> StandingSuggestion:
    moved = {"level": Level.COHORT, "group": "Zebra / TC57 / 13", "amount": 1.0, "full": 6.0, "base_median": 0, "scale": 2.0}
    usual = {
        "id": "s1",
        "fleet": FLEET,
        "run": "r",
        "kind": SuggestionKind.BASELINE_ADJUSTMENT,
        "base_version": 1,
        "adjustments": (Adjustment.model_validate(moved | {"feature": "Download_mean"}),),
        "reason": "lobby kiosks",
        "proposer": "ann",
        "created": NOW,
        "expires": NOW,
    }
    suggestion = Suggestion.model_validate(usual | given)
    decision = Decision(
        suggestion="s1",
        digest="x",
        approved=bool(approved),
        by="bob",
        channel="cli",
        time=NOW,
        expires=NOW,
        reason="looked right",
    )
    return StandingSuggestion(suggestion=suggestion, status=status, decision=None if approved is None else decision)


def _recalled(outcome: str, **given) -> Recalled:
    kind = DecisionKind.SUGGESTION if outcome in ("applied", "rejected") else DecisionKind.VERDICT
    usual = {"id": "x", "kind": kind, "fleet": FLEET, "outcome": outcome, "words": "", "by": "ann", "time": NOW}
    return Recalled(decision=RememberedDecision.model_validate(usual | given), score=1.0)


def test_an_act_is_remembered_once_with_its_median_signature_and_its_words():
    """However many rows it judged; a feature of few rows is left out."""
    rows = [_feedback(n) for n in (1, 2, 9)]
    rows[2] = _feedback(9, signature={"Download_mean": 9.0, "Upload_std": 30.0}, cohort=("Elo", "I", "10"))
    decision = of_act(rows, {"Download": "usage", "Upload": "usage"}, "Download high on 3 devices")
    assert (decision.id, decision.kind, decision.outcome) == ("act1", DecisionKind.VERDICT, "false_alarm")
    assert decision.signature == {"Download_mean": 2.0}
    assert decision.domains == {"Download": "usage"}
    assert decision.cohort == ("Zebra / TC57 / 13", "Elo / I / 10")
    assert decision.words == ("false alarm. Download high on 3 devices. kiosks. Download. Zebra / TC57 / 13, Elo / I / 10")
    assert (decision.rows, decision.devices, decision.subject) == (3, ("d1", "d2", "d9"), "i1")
    assert (decision.by, decision.time) == ("ann", NOW + timedelta(minutes=9))


def test_an_act_over_several_incidents_is_about_none_and_names_at_most_twenty_devices():
    """A filter may judge thousands of rows."""
    decision = of_act([_feedback(n, incident=f"i{n % 2}", verdict=Verdict.MISSED) for n in range(50)], {}, "")
    assert decision.subject == ""
    assert len(decision.devices) == MOST_NAMES
    assert decision.rows == 50
    assert decision.kind is DecisionKind.MISSED


def test_an_act_without_verdicts_is_refused():
    """There is nothing to remember."""
    with pytest.raises(InvalidInput, match="without verdicts"):
        of_act([], {}, "")


def test_a_decided_suggestion_is_remembered_under_the_displacement_in_scales():
    """Who decided, when, and both reasons."""
    decision = of_suggestion(_standing(SuggestionStatus.APPLIED), {"Download": "usage"})
    assert (decision.id, decision.kind, decision.outcome, decision.by) == ("s1", DecisionKind.SUGGESTION, "applied", "bob")
    assert decision.signature == {"Download_mean": 3.0}
    assert (decision.metrics, decision.domains) == (("Download",), {"Download": "usage"})
    assert decision.cohort == ("Zebra / TC57 / 13",)
    assert "lobby kiosks" in decision.words
    assert "looked right" in decision.words


@pytest.mark.parametrize(
    ("status", "approved", "outcome"),
    [
        (SuggestionStatus.REJECTED, False, "rejected"),
        (SuggestionStatus.APPROVED, True, "approved"),
        (SuggestionStatus.EXPIRED, True, "approved"),
        (SuggestionStatus.STALE, False, "rejected"),
    ],
)
def test_the_outcome_is_what_a_person_said(status, approved, outcome):
    """Also when the suggestion expired afterwards."""
    assert of_suggestion(_standing(status, approved=approved), {}).outcome == outcome


def test_a_suggestion_that_nobody_decided_is_refused():
    """It is no decision."""
    with pytest.raises(InvalidInput, match="s1 is expired: nobody decided it"):
        of_suggestion(_standing(SuggestionStatus.EXPIRED, approved=None), {})


def test_a_rollback_is_remembered_as_one():
    """It has no adjustments, so no signature."""
    standing = _standing(SuggestionStatus.APPLIED, kind=SuggestionKind.ROLLBACK, adjustments=(), rollback_to=1)
    decision = of_suggestion(standing, {})
    assert (decision.kind, decision.signature) == (DecisionKind.ROLLBACK, {})


def test_conflicting_decisions_are_counted_and_undone_ones_marked():
    """Changes first, then verdicts; the cohort is named where it is the same for all changes."""
    cohort = {"cohort": ("Zebra / TC57 / 13",)}
    recalled = [
        _recalled("applied", **cohort),
        _recalled("true"),
        _recalled("applied", undone=True, **cohort),
        _recalled("rejected", **cohort),
        *[_recalled("false_alarm")] * 3,
    ]
    said = "2 applied (1 since undone), 1 rejected for cohort 'Zebra / TC57 / 13'; 3 false alarms, 1 true"
    assert conflicts(recalled) == said
    assert conflicts([_recalled("applied", **cohort), _recalled("rejected")]) == "1 applied, 1 rejected"
    assert conflicts([_recalled("false_alarm")]) == "1 false alarm"
    assert conflicts([]) == "no decision on a like case is remembered"
