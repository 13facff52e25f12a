"""What was tried against corrections and once got through: each stays refused, or stays true."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.audit import AuditEntry
from server.domain.baseline import Adjustment, Level
from server.domain.feedback import FeedbackFilter, Verdict
from server.domain.identity import Principal
from server.domain.run import SourceSpec
from server.domain.settings import BaselineSettings, DetectorSettings, WalkSettings
from server.domain.suggestion import Suggestion, SuggestionKind, SuggestionStatus
from server.domain.telemetry import Fleet
from server.errors import ApprovalStale, GateClosed, InvalidInput
from server.pipeline.baselines import BaselineSet
from server.pipeline.overlay import reapplied
from server.settings import CorrectionSettings, Settings

ANN, BOB, BOSS = (Principal(name=name) for name in ("ann", "bob", "boss"))
START = datetime(2025, 3, 3, tzinfo=UTC)
SETTINGS = WalkSettings(detector=DetectorSettings(n_estimators=30, contamination=0.04))


def baselines(desk: Any) -> BaselineSet:
    """The run's baselines."""
    return desk.app.walk.stages.baseline_set(desk.now())


def move(desk: Any, where: tuple[Level, str], feature: str, scales: float, since: datetime | None = None) -> Adjustment:
    """An adjustment of so many scales of its group."""
    level, group = where
    found = next(each for each in baselines(desk).levels if each.level is level)
    place = found.groups.index(group), [each.name for each in baselines(desk).features].index(feature)
    scale, median = float(found.scale[place]), float(found.median[place])
    amount = scales * scale
    return Adjustment(
        level=level, group=group, feature=feature, amount=amount, full=amount, base_median=median, scale=scale, since=since
    )


def suggested(desk: Any, *moves: Adjustment) -> Suggestion:
    """A stored suggestion of those moves."""
    version, now = desk.version(), datetime.now(UTC)
    suggestion = Suggestion(
        id=f"s-{version}",
        fleet=desk.run.fleet,
        run=desk.run.id,
        kind=SuggestionKind.BASELINE_ADJUSTMENT,
        base_version=version,
        adjustments=moves,
        reason="",
        proposer="ann",
        created=now,
        expires=now + timedelta(days=1),
    )
    desk.app.records.corrections.add_suggestion(suggestion, AuditEntry.of(ANN, "suggest", suggestion.id, {}, now))
    return suggestion


def promised_and_done(desk: Any, suggestion_id: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What the preview counts, and what happened then."""
    preview = desk.app.corrections.preview(ANN, suggestion_id)
    accepted = tuple(finding.rule for finding in preview.gate if not finding.passed)
    desk.approve(desk.app.corrections.get(ANN, suggestion_id), BOSS, accepted)
    effect = desk.app.corrections.apply(ANN, suggestion_id).effect
    return (preview.alarms_after, preview.removed, preview.added), (effect.alarms_after, effect.removed, effect.added)


def test_previews_hold_for_stacked_moves_of_every_level_with_other_onsets_and_for_the_same_move_twice(desk: Any) -> None:
    """A later onset that joined an earlier step, and a move that equals one in force, were once missed."""
    cohort, same = (Level.COHORT, "A"), move(desk, (Level.COHORT, "B"), "heat_mean", 0.7, START + timedelta(days=3))
    stack = [
        [move(desk, cohort, "drain_mean", 1.5, START + timedelta(days=17))],
        [move(desk, cohort, "drain_mean", 1.5, START + timedelta(days=17, hours=9))],
        [move(desk, cohort, "drain_mean", 1.5, START + timedelta(days=20))],
        [move(desk, (Level.GLOBAL, "fleet"), "offline_mean", 0.5), move(desk, (Level.SITE, "A @ s1"), "heat_std", 1.0)],
        [move(desk, (Level.DEVICE, "d03"), "heat_mean", 2.0, START + timedelta(days=5, hours=3, minutes=7))],
        [same],
        [same],
    ]
    for moves in stack:
        promised, done = promised_and_done(desk, suggested(desk, *moves).id)
        assert promised == done


def test_settings_that_were_made_for_other_settings_are_stale(desk: Any) -> None:
    """Both were approved at one baseline version; the second would undo the first unseen. Asked for again, it is new."""
    first = desk.app.corrections.suggest_settings(ANN, contamination=0.03).suggestions[0]
    second = desk.app.corrections.suggest_settings(ANN, contamination=0.02).suggestions[0]
    for each in (first, second):
        desk.approve(each)
    desk.app.corrections.apply(ANN, first.suggestion.id)
    with pytest.raises(ApprovalStale, match="no longer in force"):
        desk.app.corrections.apply(ANN, second.suggestion.id)
    again = desk.app.corrections.suggest_settings(ANN, contamination=0.02).suggestions[0]
    assert (again.status, again.suggestion.id != second.suggestion.id) == (SuggestionStatus.PENDING, True)
    assert desk.now().settings.detector.contamination == 0.03


def test_settings_that_find_no_planted_fault_any_more_are_held_back(desk: Any) -> None:
    """A contamination of next to nothing would have emptied the page through an open gate."""
    standing = desk.app.corrections.suggest_settings(ANN, contamination=1e-300).suggestions[0]
    with pytest.raises(GateClosed, match="planted faults"):
        desk.approve(standing)


@pytest.mark.parametrize("change", [{"contamination": 2.0}, {"contamination": float("nan")}, {"alerts_per_day": float("inf")}])
def test_settings_out_of_range_are_refused_by_name(desk: Any, change: dict[str, float]) -> None:
    """In the server's words, not as a fault of it."""
    with pytest.raises(InvalidInput):
        desk.app.corrections.suggest_settings(ANN, **change)


def test_a_fleet_on_raw_features_takes_settings_and_refuses_adjustments(desk: Any) -> None:
    """It was once sent to walk a run that was walked."""
    raw = SETTINGS.model_copy(update={"baselines": BaselineSettings(min_rows=10**9)})
    run = desk.app.walk.start(Fleet(name="raw"), desk.run.source, raw)
    desk.app.walk.advance("default", run.id)
    with pytest.raises(InvalidInput, match="no baselines"):
        desk.app.corrections.suggest_adjustments(ANN, fleet="raw")
    standing = desk.app.corrections.suggest_settings(ANN, fleet="raw", direction="fewer").suggestions[0]
    promised, done = promised_and_done(desk, standing.suggestion.id)
    assert (promised, standing.suggestion.base_version) == (done, 0)


def test_after_new_telemetry_a_rollback_undoes_approvals_and_not_their_shrinking(desk: Any, tmp_path: Any) -> None:
    """An estimate that caught up made a version of its own, which is no way back; and only what goes is marked undone."""
    desk.mark(desk.some(desk.benign()))
    ids: list[str] = []
    for _ in range(2):
        ids.append(desk.suggestion().suggestion.id)
        promised_and_done(desk, ids[-1])
    newer = pd.read_parquet(desk.run.source.location)
    newer = newer[newer.time >= START + timedelta(days=18)].assign(time=lambda rows: rows.time + timedelta(days=6))
    newer.to_parquet(tmp_path / "newer.parquet", index=False)
    source = SourceSpec(connector="files", location=str(tmp_path / "newer.parquet"), options=desk.run.source.options)
    desk.run = desk.app.walk.start(desk.run.fleet, source, SETTINGS)
    desk.app.walk.advance("default", desk.run.id)
    before, after = (sum(each.amount for each in version.adjustments) for version in versions(desk, 3, 4))
    assert 0 < after < before
    with pytest.raises(InvalidInput, match="in force"):
        desk.app.corrections.suggest_rollback(ANN, to_version=3)
    back = desk.app.corrections.suggest_rollback(ANN).suggestions[0]
    assert back.suggestion.rollback_to == 2
    promised, done = promised_and_done(desk, back.suggestion.id)
    assert promised == done
    undone = {each.suggestion: each.undone_by for each in desk.app.corrections.effects(ANN)}
    assert [undone[each] for each in ids] == ["", back.suggestion.id]


def versions(desk: Any, *numbers: int) -> list[Any]:
    """Baseline versions of the fleet."""
    return [desk.app.records.baseline_version(desk.run.fleet, number) for number in numbers]


def test_a_median_that_wavers_does_not_wear_an_approval_down(desk: Any) -> None:
    """Down and up again by less than what was approved leaves all of it."""
    estimate = baselines(desk)
    approved = (move(desk, (Level.COHORT, "A"), "drain_mean", 2.0),)
    kept = approved
    for off in (-0.3, 0.0, -0.3, 0.0):
        levels = tuple(replace(level, median=level.median + off) for level in estimate.levels)
        kept = reapplied(kept, replace(estimate, levels=levels))
    assert kept == approved


def test_asking_again_for_what_a_rollback_undid_leaves_memory_and_sql_the_same(desk: Any) -> None:
    """A replayed application does not make memory forget that it was undone."""
    desk.mark(desk.some(desk.benign()))
    name = desk.suggestion().suggestion.id
    promised_and_done(desk, name)
    promised_and_done(desk, desk.app.corrections.suggest_rollback(ANN).suggestions[0].suggestion.id)
    desk.app.corrections.apply(BOB, name)
    recalled = desk.app.verdicts.recall(ANN, words="drain cohort A", limit=50).recalled
    assert [each.decision.undone for each in recalled if each.decision.subject == name] == [True]


def test_a_rollback_whose_end_was_cut_off_still_marks_what_it_undid(desk: Any) -> None:
    """Killed while it told memory: the next call does what is left, in the ledger and in memory."""
    desk.mark(desk.some(desk.benign()))
    name = desk.suggestion().suggestion.id
    promised_and_done(desk, name)
    back = desk.app.corrections.suggest_rollback(ANN).suggestions[0]
    desk.approve(back)
    tells, desk.app.recollection.decided = desk.app.recollection.decided, _cut_off
    with pytest.raises(KeyboardInterrupt):
        desk.app.corrections.apply(ANN, back.suggestion.id)
    desk.app.recollection.decided = tells
    desk.app.corrections.apply(ANN, back.suggestion.id)
    ledger = {each.suggestion: each for each in desk.app.corrections.effects(ANN)}
    assert ledger[name].undone_by == back.suggestion.id
    recalled = desk.app.verdicts.recall(ANN, words="drain cohort A", limit=50).recalled
    assert [each.decision.undone for each in recalled if each.decision.subject == name] == [True]


def _cut_off(_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_request_that_is_sent_again_makes_one_rule_and_no_other_act(desk: Any) -> None:
    """Nor does the same id for another verdict tell memory what SQL does not have."""
    one = desk.real()[0]
    asked = {"anomaly": one.id, "until": one.time + timedelta(days=2), "request_id": "r1"}
    first = desk.app.verdicts.record(ANN, Verdict.EXPECTED, **asked)
    assert desk.app.verdicts.record(ANN, Verdict.EXPECTED, **asked).rule.id == first.rule.id
    assert len(desk.app.verdicts.rules(ANN)) == 1
    with pytest.raises(InvalidInput, match="another act"):
        desk.app.verdicts.record(ANN, Verdict.TRUE, anomaly=one.id, request_id="r1")
    assert desk.app.verdicts.given(ANN, FeedbackFilter(anomaly=one.id)).feedback[0].verdict is Verdict.EXPECTED


@pytest.mark.parametrize(
    "stated",
    [
        {"scope": {}},
        {"scope": {"stroe": "s1"}},
        {"scope": {"device": "d00"}},
        {"metrics": ("drian",)},
        {"until": datetime(2026, 1, 1)},  # noqa: DTZ001 - the missing zone is the point
        {"until": None},
    ],
)
def test_a_rule_that_mutes_everything_or_nothing_is_refused(desk: Any, stated: dict[str, Any]) -> None:
    """And neither it nor its verdict is stored."""
    one = desk.real()[0]
    asked = {"until": one.time + timedelta(days=2)} | stated
    with pytest.raises(InvalidInput):
        desk.app.verdicts.record(ANN, Verdict.EXPECTED, anomaly=one.id, **asked)
    assert not desk.app.verdicts.rules(ANN)
    assert desk.app.verdicts.given(ANN, FeedbackFilter()).total == 0


def test_a_rule_for_a_store_covers_its_devices(desk: Any) -> None:
    """Incidents say store, anomalies site: a rule in either word is the same."""
    one = desk.real()[0]
    until = one.time + timedelta(days=2)
    receipt = desk.app.verdicts.record(ANN, Verdict.EXPECTED, anomaly=one.id, until=until, scope={"store": one.site})
    assert receipt.rule.scope == {"site": one.site}


def test_text_that_cannot_be_written_is_refused(desk: Any) -> None:
    """Half a character in a note or a request id."""
    one = desk.real()[0]
    for text in ({"note": "\ud800"}, {"request_id": "\ud800"}):
        with pytest.raises(InvalidInput, match="surrogate"):
            desk.app.verdicts.record(ANN, Verdict.TRUE, anomaly=one.id, **text)


def test_an_edited_suggestion_cannot_be_applied_on_its_old_approval(desk: Any) -> None:
    """Changed in the store itself, behind the server's back."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    desk.approve(standing)
    larger = [each.model_copy(update={"amount": 3 * each.amount}) for each in standing.suggestion.adjustments]
    body = standing.suggestion.model_copy(update={"adjustments": tuple(larger)}).model_dump_json()
    with closing(sqlite3.connect(desk.app.settings.home / "anomalyst.sqlite")) as store, store:
        store.execute("UPDATE suggestion SET body = ? WHERE id = ?", (body, standing.suggestion.id))
    with pytest.raises(ApprovalStale, match="digest"):
        desk.app.corrections.apply(ANN, standing.suggestion.id)
    assert desk.version() == 1


@pytest.mark.parametrize(("rate", "versions_after"), [(0.35, 2), (0.5, 2)])
def test_a_policy_moves_a_centre_by_its_bound_in_all_however_often_it_is_asked(
    walked_home: Any, tmp_path: Any, rate: float, versions_after: int
) -> None:
    """A hundred small nudges come to no more than one: what it approved before counts."""
    shutil.copytree(walked_home[0], tmp_path / "home")
    chosen = CorrectionSettings(auto_apply="nightly", learning_rate=rate, auto_apply_scales=1.2)
    with App(Settings(home=tmp_path / "home", threads=1, corrections=chosen, _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
        anomalies = app.records.anomalies("default", AnomalyFilter(run=walked_home[1], metric="drain"), limit=1000)[0]
        for place, each in enumerate([each for each in anomalies if each.cohort == ("A",)][:90:3]):
            app.verdicts.record((ANN, BOB)[place % 2], Verdict.FALSE_ALARM, anomaly=each.id)
        for _ in range(4):
            app.corrections.suggest_adjustments(ANN)
        version = app.records.baseline_version(app.records.run("default", walked_home[1]).fleet)
        assert version is not None
        assert version.version == versions_after


def test_nobody_empties_the_gate_by_judging_again_what_others_marked_true(desk: Any) -> None:
    """A `true` counts until the person who said it says otherwise."""
    benign = desk.benign()
    desk.mark(desk.some(benign))
    standing = desk.suggestion()
    gone = {each.anomaly for each in desk.app.corrections.preview(ANN, standing.suggestion.id).removed_examples}
    chosen = [each for each in benign if each.id in gone][:2]
    desk.mark(chosen, Verdict.TRUE, BOB)
    desk.mark(chosen, Verdict.FALSE_ALARM, ANN)
    assert desk.app.corrections.preview(ANN, standing.suggestion.id).removed["true"] == len(chosen)
    desk.mark(chosen, Verdict.FALSE_ALARM, BOB)
    assert "true" not in desk.app.corrections.preview(ANN, standing.suggestion.id).removed


def test_rebuilding_the_memory_forgets_no_tenant(desk: Any) -> None:
    """Another tenant's decisions are remembered anew as well."""
    other = Principal(name="eve", tenant="other")
    source = desk.run.source
    run = desk.app.walk.start(Fleet(tenant="other", name="shop"), source, desk.run.settings)
    desk.app.walk.advance("other", run.id)
    (one,) = desk.app.records.anomalies("other", AnomalyFilter(), limit=1)[0]
    desk.app.verdicts.record(other, Verdict.TRUE, anomaly=one.id)
    desk.mark(desk.some(desk.benign(), 3))
    assert desk.app.recollection.rebuild() == 4
    assert (desk.app.memory.count("other"), desk.app.memory.count("default")) == (1, 3)
