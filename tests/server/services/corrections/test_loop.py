"""The honest loop: verdicts, suggestion, preview, a person's approval, changed scores, and the way back."""

import json
from datetime import timedelta
from typing import Any

import pytest

from server.domain.feedback import FeedbackFilter, Verdict
from server.domain.identity import Principal, Scope
from server.domain.run import Stage
from server.domain.suggestion import SuggestionStatus
from server.errors import ApprovalMissing, ApprovalStale, GateClosed, InvalidInput, NotAllowed, NotFound

ANN, BOB, BOSS = (Principal(name=name) for name in ("ann", "bob", "boss"))


def test_three_approvals_take_the_new_normal_in_and_lose_no_true_anomaly(desk: Any) -> None:
    """Of the false alarms at least four fifths go, every true anomaly stays, and hardly a new one comes."""
    benign, real, all_before = desk.benign(), desk.real(), {each.id for each in desk.anomalies()}
    desk.mark(desk.some(benign))
    for _ in range(3):
        standing = desk.suggestion()
        desk.approve(standing)
        desk.app.corrections.apply(ANN, standing.suggestion.id)
    after = {each.id for each in desk.anomalies()}
    assert len({each.id for each in benign} & after) <= 0.2 * len(benign)
    assert {each.id for each in real} <= after
    assert len(after - all_before) <= 0.02 * len(all_before)


def test_a_preview_is_exactly_what_then_happens(desk: Any) -> None:
    """Counts by verdict, each example's severity, and the number of anomalies."""
    desk.mark(desk.some(desk.benign()))
    desk.mark(desk.some(desk.real(), 5), Verdict.TRUE, BOB)
    standing = desk.suggestion()
    preview = desk.app.corrections.preview(ANN, standing.suggestion.id)
    before = {each.id: each for each in desk.anomalies()}
    desk.approve(standing)
    effect = desk.app.corrections.apply(ANN, standing.suggestion.id).effect
    after = {each.id: each for each in desk.anomalies()}
    assert (effect.alarms_after, effect.removed, effect.added) == (preview.alarms_after, preview.removed, preview.added)
    assert len(after) == preview.alarms_after < preview.alarms_before == len(before)
    assert {each.anomaly for each in preview.removed_examples} <= before.keys() - after.keys()
    assert preview.removed["false_alarm"] + effect.added.get("false_alarm", 0) > 0


@pytest.mark.parametrize("wrong", [2])
def test_a_tenth_of_wrong_verdicts_does_not_mislead(desk: Any, wrong: int) -> None:
    """Two of twenty are of the real fault: the same group is found, moved nearly as far, and no true anomaly is lost."""
    benign, real = desk.benign(), desk.real()
    desk.mark(desk.some(benign, 20 - wrong) + desk.some(real, wrong))
    standing = desk.suggestion()
    (move,) = [each for each in standing.suggestion.adjustments if each.feature == "drain_mean"]
    assert (move.level.value, move.group) == ("cohort", "A")
    assert 3.0 < move.full < 5.0
    desk.approve(standing)
    desk.app.corrections.apply(ANN, standing.suggestion.id)
    assert {each.id for each in real} <= {each.id for each in desk.anomalies()}


def test_what_people_marked_true_closes_the_gate_until_a_second_person_accepts_it(desk: Any) -> None:
    """Neither the proposer nor who gave the verdicts can wave it through, and the refusal says what would be hidden."""
    benign = desk.benign()
    desk.mark(desk.some(benign))
    first = desk.suggestion()
    removed = {each.anomaly for each in desk.app.corrections.preview(ANN, first.suggestion.id).removed_examples}
    marked = {each.anomaly for each in desk.app.verdicts.given(ANN, FeedbackFilter(), limit=100).feedback}
    desk.mark([each for each in benign if each.id in removed - marked][:2], Verdict.TRUE, BOB)
    with pytest.raises(GateClosed, match="hides_true") as refusal:
        desk.approve(first)
    assert "second person" in str(refusal.value)
    with pytest.raises(GateClosed, match="second person"):
        desk.approve(first, ANN, ("hides_true",))
    desk.approve(first, BOSS, ("hides_true",))
    desk.app.corrections.apply(ANN, first.suggestion.id)
    decision = desk.app.corrections.get(ANN, first.suggestion.id).decision
    assert decision is not None
    assert (decision.by, decision.override) == ("boss", ("hides_true",))


def test_nothing_applies_without_an_approval_of_that_content(desk: Any) -> None:
    """Pending, rejected, approved under another digest: each is refused, and the version stays."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    with pytest.raises(ApprovalMissing, match="anomalyst approve"):
        desk.app.corrections.apply(ANN, standing.suggestion.id)
    with pytest.raises(ApprovalStale):
        desk.app.corrections.decide(BOSS, standing.suggestion.id, approved=True, digest="0" * 32)
    desk.app.corrections.decide(BOSS, standing.suggestion.id, approved=False, digest=standing.suggestion.digest)
    with pytest.raises(ApprovalMissing, match="rejected"):
        desk.app.corrections.apply(ANN, standing.suggestion.id)
    with pytest.raises(ApprovalStale):
        desk.approve(standing)
    assert desk.version() == 1


def test_scopes_are_needed_for_each_act(desk: Any) -> None:
    """Reading does not judge, judging does not approve."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    reader = Principal(name="eve", scopes=frozenset({Scope.READ}))
    judge = Principal(name="joe", scopes=frozenset({Scope.READ, Scope.FEEDBACK}))
    desk.app.corrections.preview(reader, standing.suggestion.id)
    with pytest.raises(NotAllowed, match="feedback"):
        desk.app.corrections.suggest_adjustments(reader)
    with pytest.raises(NotAllowed, match="approve"):
        desk.approve(standing, judge)
    with pytest.raises(NotFound):
        desk.app.corrections.get(Principal(name="far", tenant="other"), standing.suggestion.id)


def test_applying_twice_makes_one_version(desk: Any) -> None:
    """A re-sent request gets the same answer."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    desk.approve(standing)
    first = desk.app.corrections.apply(ANN, standing.suggestion.id)
    assert desk.app.corrections.apply(BOB, standing.suggestion.id) == first
    assert (desk.version(), first.version_before, first.version_after) == (2, 1, 2)


def test_a_suggestion_for_other_baselines_is_stale(desk: Any) -> None:
    """Once another change is in force, it cannot be approved any more, and says so."""
    benign = desk.benign()
    desk.mark(desk.some(benign))
    first = desk.suggestion()
    desk.mark(desk.some(benign, 30))
    second = desk.suggestion()
    assert second.suggestion.id != first.suggestion.id
    desk.approve(second)
    desk.app.corrections.apply(ANN, second.suggestion.id)
    assert desk.app.corrections.get(ANN, first.suggestion.id).status is SuggestionStatus.STALE
    with pytest.raises(ApprovalStale):
        desk.approve(first)


def test_a_rollback_gives_the_same_scores_to_the_bit_and_reopens_what_was_hidden(desk: Any) -> None:
    """It is a new version with the old statistics; the ledger and the history stay."""
    scores, shown = desk.scores(), {each.id for each in desk.anomalies()}
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    desk.approve(standing)
    desk.app.corrections.apply(ANN, standing.suggestion.id)
    assert desk.scores() != scores
    back = desk.app.corrections.suggest_rollback(ANN).suggestions[0]
    desk.approve(back)
    desk.app.corrections.apply(ANN, back.suggestion.id)
    assert (desk.scores(), {each.id for each in desk.anomalies()}) == (scores, shown)
    assert desk.version() == 3
    ledger = {each.suggestion: each for each in desk.app.corrections.effects(ANN)}
    assert ledger[standing.suggestion.id].undone_by == back.suggestion.id
    versions = [desk.app.records.baseline_version(desk.run.fleet, number) for number in (1, 2, 3)]
    assert [len(version.adjustments) for version in versions] == [0, 1, 0]
    assert versions[0].digest == versions[2].digest != versions[1].digest
    recalled = desk.app.verdicts.recall(ANN, words="drain cohort A", limit=50).recalled
    assert [each.decision.undone for each in recalled if each.decision.subject == standing.suggestion.id] == [True]


def test_asking_twice_does_not_make_two_suggestions(desk: Any) -> None:
    """The id follows from what it says."""
    desk.mark(desk.some(desk.benign()))
    assert desk.suggestion() == desk.suggestion()


def test_estimating_anew_keeps_what_was_approved(desk: Any) -> None:
    """The stage run again on the same telemetry gives the same digest, adjustments included."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    desk.approve(standing)
    desk.app.corrections.apply(ANN, standing.suggestion.id)
    digest = desk.now().stages[Stage.BASELINES].digest
    desk.app.walk.run_stage("default", desk.run.id, Stage.BASELINES)
    assert desk.now().stages[Stage.BASELINES].digest == digest
    assert desk.version() == 2


def test_fewer_anomalies_means_a_lower_contamination(desk: Any) -> None:
    """Halved, previewed, approved, and then exactly as previewed; the direction follows from the verdicts."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.app.corrections.suggest_settings(ANN).suggestions[0]
    assert standing.suggestion.settings.contamination == 0.02
    preview = desk.app.corrections.preview(ANN, standing.suggestion.id)
    assert preview.alarms_after < 0.6 * preview.alarms_before
    desk.approve(standing)
    effect = desk.app.corrections.apply(ANN, standing.suggestion.id).effect
    assert (effect.alarms_after, effect.removed, effect.added) == (preview.alarms_after, preview.removed, preview.added)
    assert (effect.version_before, effect.version_after, desk.version()) == (1, 1, 1)
    assert desk.now().settings.detector.contamination == 0.02


def test_a_domain_weight_is_held_against_the_domains_that_there_are(desk: Any) -> None:
    """A misspelt domain would change nothing and look as if it did."""
    with pytest.raises(NotFound, match="metric domain"):
        desk.app.corrections.suggest_settings(ANN, domain_weights={"batery": 0.5})


def test_expected_is_a_rule_that_ends_and_no_baseline_change(desk: Any) -> None:
    """It needs an end, speaks of the device and its metric, and the scores stay."""
    scores, one = desk.scores(), desk.real()[0]
    with pytest.raises(InvalidInput, match="until when"):
        desk.app.verdicts.record(ANN, Verdict.EXPECTED, anomaly=one.id)
    receipt = desk.app.verdicts.record(ANN, Verdict.EXPECTED, anomaly=one.id, until=one.time + timedelta(days=4))
    assert receipt.rule is not None
    assert (receipt.rule.scope, receipt.rule.metrics) == ({"device": one.device}, (one.top_metric,))
    assert receipt.rule.ceiling == one.severity
    assert (desk.scores(), desk.version()) == (scores, 1)


def test_a_missed_report_is_tied_to_rows_or_says_that_there_are_none(desk: Any) -> None:
    """With telemetry in the window its rows are named; without, nothing is stored."""
    one = desk.real()[0]
    begin = one.time - timedelta(days=9)
    report = desk.app.verdicts.report_missed(ANN, device=one.device, start=begin, end=begin + timedelta(hours=5))
    assert (report.rows + report.flagged, report.devices) == (6, 1)
    nothing = desk.app.verdicts.report_missed(
        ANN, device=one.device, start=begin - timedelta(days=400), end=begin - timedelta(days=399)
    )
    assert (nothing.rows, nothing.act) == (0, "")
    assert "No telemetry" in nothing.summary
    with pytest.raises(NotFound, match="s3"):
        desk.app.verdicts.report_missed(ANN, store="s33", start=begin, end=begin)


def test_a_verdict_can_be_revised_and_its_history_stays(desk: Any) -> None:
    """The later one counts; a request that is sent again stores nothing."""
    one = desk.real()[0]
    desk.app.verdicts.record(ANN, Verdict.FALSE_ALARM, anomaly=one.id, request_id="r1")
    desk.app.verdicts.record(ANN, Verdict.FALSE_ALARM, anomaly=one.id, request_id="r1")
    desk.app.verdicts.record(BOB, Verdict.TRUE, anomaly=one.id)
    current = desk.app.verdicts.given(ANN, FeedbackFilter(anomaly=one.id))
    history = desk.app.verdicts.given(ANN, FeedbackFilter(anomaly=one.id, current=False))
    assert [each.verdict for each in current.feedback] == [Verdict.TRUE]
    assert [each.author for each in history.feedback] == ["bob", "ann"]


def test_every_change_is_in_the_audit_trail(desk: Any) -> None:
    """Who did what through which channel, and the chain holds."""
    desk.mark(desk.some(desk.benign(), 12))
    standing = desk.suggestion()
    desk.approve(standing)
    desk.app.corrections.apply(ANN, standing.suggestion.id)
    trail = desk.app.records.audit("default", limit=4)
    assert [(each.action, each.actor) for each in trail[:3]] == [
        ("apply_feedback", "ann"),
        ("approve", "boss"),
        ("suggest", "ann"),
    ]
    assert trail[3].action == "record_feedback"
    assert desk.app.records.verify_audit("default") >= 15


def test_memory_may_be_lost_and_comes_back_the_same(desk: Any) -> None:
    """Rebuilt from SQL, the same cases are recalled in the same order."""
    desk.mark(desk.some(desk.benign(), 12))
    desk.mark(desk.some(desk.real(), 3), Verdict.TRUE, BOB)
    standing = desk.suggestion()
    desk.approve(standing)
    desk.app.corrections.apply(ANN, standing.suggestion.id)
    asked = {"anomaly": desk.real()[0].id, "limit": 10}
    before = desk.app.verdicts.recall(ANN, **asked)
    desk.app.recollection.rebuild()
    after = desk.app.verdicts.recall(ANN, **asked)
    assert json.loads(after.model_dump_json())["summary"] == json.loads(before.model_dump_json())["summary"]
    assert [each.decision.id for each in after.recalled] == [each.decision.id for each in before.recalled]
