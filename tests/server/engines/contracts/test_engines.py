"""What every engine promises: what the pipeline's functions make of whole tables, wherever they ran."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from server.domain.anomaly import AnomalyFilter
from server.domain.baseline import Level
from server.domain.feedback import Feedback, Verdict
from server.domain.run import Stage
from server.domain.settings import BaselineSettings
from server.domain.telemetry import Fleet
from server.errors import NotEnoughData
from server.pipeline.anomalies import flagged_rows
from server.pipeline.baselines import BaselineSet, compute_baselines
from server.pipeline.counterfactual import Reach, Stored, score_again
from server.pipeline.exclusion import KeptOut
from server.pipeline.parts import row_groups
from server.pipeline.presence import presence_of
from server.pipeline.score import Scoring
from server.pipeline.train import rows_per_day
from server.services.walk import silent

ROUNDING = 1e-12
"""Of a mean absolute deviation: a sum of sums over parts is not the sum over rows in its last digit."""


def rows(path: Path) -> pa.Table:
    return pa.concat_tables(list(row_groups(path))).combine_chunks()


def same_numbers(left: object, right: object) -> bool:
    """Whether two records of arrays are equal to the bit."""
    names = [name for name in left.__dataclass_fields__ if isinstance(getattr(left, name), np.ndarray)]  # type: ignore[attr-defined]
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)


def check_baselines(found: BaselineSet, expected: BaselineSet) -> None:
    """Medians, counts and profile to the bit, scales to the last digit or two, which only wider groups may need."""
    assert (found.plan, found.min_rows) == (expected.plan, expected.min_rows)
    assert (found.profile is None) == (expected.profile is None)
    if found.profile is not None and expected.profile is not None:
        assert found.profile.hours == expected.profile.hours
        np.testing.assert_array_equal(found.profile.deviation, expected.profile.deviation)
    assert [level.level for level in found.levels] == [level.level for level in expected.levels]
    for mine, theirs in zip(found.levels, expected.levels, strict=True):
        assert mine.groups == theirs.groups
        np.testing.assert_array_equal(mine.median, theirs.median)
        np.testing.assert_array_equal(mine.count, theirs.count)
        np.testing.assert_allclose(mine.scale, theirs.scale, rtol=ROUNDING)
        if mine.level is Level.DEVICE:
            np.testing.assert_allclose(mine.scale, theirs.scale, rtol=ROUNDING)


def test_features_are_equal_to_the_bit(subject: Any, plain: Any) -> None:
    """Rows in the same order, gaps at the same places, no digit different."""
    assert _equal_with_gaps(subject.table.path, plain.table.path)


def test_baselines_are_equal(subject: Any, plain: Any) -> None:
    """On every level, with the daily rhythm."""
    assert plain.baselines.profile is not None
    assert {level.level for level in plain.baselines.levels} == set(Level)
    check_baselines(subject.stages.baseline_set(subject.run), plain.baselines)


@pytest.mark.parametrize("small_rows", [0, 1_000_000])
def test_baselines_are_equal_however_large_a_group_counts_as_small(
    subject: Any, plain: Any, monkeypatch: pytest.MonkeyPatch, small_rows: int
) -> None:
    """Where groups lie in several parts, all from brackets, or all from their values."""
    monkeypatch.setattr("server.engines.spark.groups.SMALL_ROWS", small_rows)
    found = subject.stages.engine.baselines(subject.table, KeptOut(plain.members), BaselineSettings())
    check_baselines(found.baselines, plain.baselines)


def test_marked_rows_are_kept_out_of_baselines(subject: Any, plain: Any) -> None:
    """Counted, and without a trace in any statistic."""
    device, time = plain.table.key("device"), plain.table.time
    chosen = np.flatnonzero(device == 4)[60:]
    marked = [_marked(plain.members.devices[4], int(time[row])) for row in chosen]
    kept_out = KeptOut(plain.members, marked=marked)
    found = subject.stages.engine.baselines(subject.table, kept_out, BaselineSettings())
    assert found.kept_out == len(chosen)
    check_baselines(
        found.baselines, compute_baselines(plain.table, plain.members, BaselineSettings(), excluded=kept_out.rows(plain.table))
    )


def test_too_few_rows_are_said_so(subject: Any, plain: Any) -> None:
    """And what a walk then does is not for the engine to decide."""
    with pytest.raises(NotEnoughData, match="at least 1,000,000"):
        subject.stages.engine.baselines(subject.table, KeptOut(plain.members), BaselineSettings(min_rows=1_000_000))


def test_the_training_sample_is_the_same(subject: Any, plain: Any) -> None:
    """Of the same devices, in the same order, with the same rows a day."""
    devices = np.array([0, 3, 4, 11])
    sample = subject.stages.engine.sample(subject.table, devices)
    found, expected = (pa.Table.from_batches(list(blocks)) for blocks in (sample.blocks, plain.table.blocks(devices)))
    assert found.column("time").equals(expected.column("time"))
    assert found.column("device").equals(expected.column("device"))
    assert sample.rows_per_day == rows_per_day(plain.table.time)


def test_scores_under_the_same_baselines_are_equal_to_the_bit(subject: Any, plain: Any) -> None:
    """With severity, confidence and every word of the contributions; and scoring again gives the same artifact."""
    engine, scoring = subject.stages.engine, Scoring(plain.trained, plain.baselines)
    scored = engine.score(subject.run.id, subject.table, scoring, lambda *_: None)
    assert rows(subject.stages.artifact(subject.run, scored.artifact)).equals(rows(plain.scores))
    assert (scored.rows, scored.flagged) == (plain.table.rows, flagged_rows(plain.scores).num_rows)
    assert engine.score(subject.run.id, subject.table, scoring, lambda *_: None) == scored


def test_the_same_anomalies_are_found_by_the_whole_walk(subject: Any, embedded: Any) -> None:
    """The walk's own baselines and detector, persisted, with their incidents."""
    shown = [
        each.app.records.anomalies("default", AnomalyFilter(run=each.run.id), limit=1000)[0] for each in (subject, embedded)
    ]
    assert len(shown[0]) > 10
    assert [(each.id, each.top_metric) for each in shown[0]] == [(each.id, each.top_metric) for each in shown[1]]
    np.testing.assert_allclose([each.score for each in shown[0]], [each.score for each in shown[1]], rtol=1e-6)
    incidents = [each.app.records.incidents("default", run_id=each.run.id)[0] for each in (subject, embedded)]
    assert [(each.title, each.devices) for each in incidents[0]] == [(each.title, each.devices) for each in incidents[1]]


def test_flagged_rows_and_presence_are_those_of_the_scores(subject: Any, plain: Any) -> None:
    """What incidents are made of."""
    engine, interval = subject.stages.engine, subject.snapshot.interval
    scored = engine.score(subject.run.id, subject.table, Scoring(plain.trained, plain.baselines), lambda *_: None)
    path = subject.stages.artifact(subject.run, scored.artifact)
    assert engine.flagged(path).equals(flagged_rows(plain.scores))
    assert same_numbers(engine.presence(path, interval), presence_of(plain.scores, interval))


@pytest.mark.parametrize("at_hand", [0, 1_000_000])
def test_reached_rows_are_scored_again_the_same(
    subject: Any, plain: Any, monkeypatch: pytest.MonkeyPatch, at_hand: int
) -> None:
    """Many on the cluster, few at the driver, and no others."""
    monkeypatch.setattr("server.engines.spark.engine._ROWS_AT_HAND", at_hand)
    reached = np.flatnonzero(np.isin(plain.table.key("device"), [1, 4, 11]) & (plain.table.time % 3 == 0))
    reach, stored = Reach(reached, np.array([1, 4, 11])), Stored.read(plain.scores)
    shifted = plain.trained
    found = subject.stages.engine.score_again(subject.table, stored, reach, plain.baselines, shifted)
    assert same_numbers(found, score_again(plain.table, stored, reach, plain.baselines, shifted, threads=1))


def test_a_stage_done_again_names_the_same_artifact(subject: Any) -> None:
    """So nothing below it becomes stale."""
    before = subject.app.records.run("default", subject.run.id)
    again = subject.app.walk.run_stage("default", subject.run.id, Stage.FEATURES, silent)
    assert again.stages[Stage.FEATURES].artifact == before.stages[Stage.FEATURES].artifact
    assert again.next_stage() is None


def _equal_with_gaps(left: Path, right: Path) -> bool:
    mine, theirs = rows(left), rows(right)
    return mine.schema.equals(theirs.schema) and all(
        np.array_equal(mine[name].to_numpy(), theirs[name].to_numpy(), equal_nan=mine[name].type == pa.float64())
        for name in mine.column_names
    )


def _marked(device: str, time: int) -> Feedback:
    moment = datetime.fromtimestamp(time / 1e6, UTC).replace(microsecond=time % 1_000_000)
    about = {"id": f"v-{time}", "act": "a", "run": "r", "author": "ann", "channel": "cli", "created": moment}
    return Feedback(**about, fleet=Fleet(name="shop"), verdict=Verdict.TRUE, device=device, time=moment)
