"""What verdicts do not lead to a suggestion, and the reason that is given."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.feedback import Verdict
from server.domain.identity import Principal
from server.domain.run import Stage
from server.errors import AdjustmentOutOfBounds, StageNotReady
from server.settings import CorrectionSettings, Settings

ANN, BOB = Principal(name="ann"), Principal(name="bob")


def refused(desk: Any) -> list[str]:
    """The reasons, where nothing was suggested."""
    suggested = desk.app.corrections.suggest_adjustments(ANN)
    assert not suggested.suggestions
    return [each.reason for each in suggested.refused]


def test_without_verdicts_there_is_nothing_to_suggest(desk: Any) -> None:
    """All flagged rows are not evidence: nobody has said that they are false."""
    assert any("record_feedback" in reason for reason in refused(desk))


def test_a_few_verdicts_are_too_few_and_one_author_needs_more(desk: Any) -> None:
    """Nine by one person are not enough where ten are wanted, and the same nine are once a second person agrees."""
    chosen = desk.some(desk.benign(), 9)
    desk.mark(chosen)
    assert any("one author" in reason for reason in refused(desk))
    desk.mark(chosen[:4], who=BOB)
    assert desk.suggestion().suggestion.evidence.authors == ("ann", "bob")


def test_one_device_does_not_move_a_cohort(desk: Any) -> None:
    """Verdicts on a single device move that device's own baseline, or nothing."""
    device = desk.benign()[0].device
    desk.mark([each for each in desk.benign() if each.device == device])
    suggested = desk.app.corrections.suggest_adjustments(ANN)
    levels = {move.level.value for each in suggested.suggestions for move in each.suggestion.adjustments}
    assert levels <= {"device"}


def test_contradicting_verdicts_have_to_be_settled_first(desk: Any) -> None:
    """As many say true as say false alarm, of the same group."""
    chosen = desk.some(desk.benign(), 24)
    desk.mark(chosen[::2])
    desk.mark(chosen[1::2], Verdict.TRUE, BOB)
    assert any("Settle which" in reason for reason in refused(desk))


def test_a_fault_that_is_over_is_no_new_level(desk: Any) -> None:
    """Real trouble marked false does not become normal: it no longer lasts, and the refusal says what to do instead."""
    real = desk.real()
    desk.mark(real[::2])
    desk.mark(real[1::2], who=BOB)
    assert any("no new level to learn" in reason for reason in refused(desk))


def test_the_other_model_is_left_alone(desk: Any) -> None:
    """The shift is suggested for the cohort that moved, since the day that it did."""
    desk.mark(desk.some(desk.benign()))
    (move,) = [each for each in desk.suggestion().suggestion.adjustments if each.feature == "drain_mean"]
    assert (move.level.value, move.group) == ("cohort", "A")
    assert abs(move.since - min(each.time for each in desk.benign())) < timedelta(days=1.5)
    assert move.amount == pytest.approx(0.35 * move.full)


def test_a_run_that_is_not_walked_to_its_end_is_walked_first(desk: Any) -> None:
    """The refusal names the stage."""
    desk.mark(desk.some(desk.benign()))
    run = desk.now()
    kept = {stage: record for stage, record in run.stages.items() if stage is not Stage.SCORE}
    desk.app.records.save_run(run.model_copy(update={"stages": kept}))
    with pytest.raises(StageNotReady, match="Call score_telemetry next"):
        desk.app.corrections.suggest_adjustments(ANN)


def test_a_move_beyond_the_bounds_of_today_is_not_approved(walked_home: Any, tmp_path: Any) -> None:
    """Bounds that were drawn tighter since the suggestion was made hold for its approval."""
    shutil.copytree(walked_home[0], tmp_path / "home")
    with opened(tmp_path / "home") as app:
        anomalies = app.records.anomalies("default", AnomalyFilter(run=walked_home[1], metric="drain"), limit=1000)[0]
        for each in [each for each in anomalies if each.cohort == ("A",)][:60:3]:
            app.verdicts.record(ANN, Verdict.FALSE_ALARM, anomaly=each.id)
        (standing,) = app.corrections.suggest_adjustments(ANN).suggestions
    with opened(tmp_path / "home", max_move=0.1) as app, pytest.raises(AdjustmentOutOfBounds, match="largest move"):
        app.corrections.decide(
            BOB, standing.suggestion.id, approved=True, digest=standing.suggestion.digest, override=("size_of_move",)
        )


def opened(home: Path, **corrections: float) -> App:
    """The server over the stores of a folder, with other bounds."""
    chosen = CorrectionSettings.model_validate(corrections)
    return App(Settings(home=home, threads=1, corrections=chosen, _env_file=None))  # pyright: ignore[reportCallIssue]
