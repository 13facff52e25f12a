"""Drift: what has moved is named, with how far; what has not is not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from server.detectors.stored import Trained
from server.domain.baseline import Adjustment, Level
from server.domain.settings import BaselineSettings
from server.domain.telemetry import Members, Metric
from server.pipeline.baselines import BaselineSet, compute_baselines
from server.pipeline.drift import feature_drift, psi, psi_between, score_drift
from server.pipeline.features import FeaturePlan
from server.pipeline.table import FeatureTable, write_table

HOUR = 3_600_000_000
MEMBERS = Members(("D-1", "D-2"), (("A",), ("B",)), (), (), (2000, 2000))


def _table(path: Path, plan: FeaturePlan, shift: float = 0.0, *, zeros: float = 0.0, swap: bool = False) -> FeatureTable:
    """Two devices of one cohort each; device 2's first metric lies `shift` higher in its second half."""
    chance, rows = np.random.default_rng(5), 2000
    device = np.repeat(np.arange(2, dtype=np.int32), rows)
    half = np.tile(np.arange(rows) >= rows // 2, 2)
    columns = {feature.name: chance.normal(size=2 * rows) for feature in plan.features}
    if zeros:
        columns["other_mean"] = np.where(chance.random(2 * rows) < zeros, 0.0, chance.exponential(size=2 * rows))
    columns["drain_mean"] = columns["drain_mean"] + 10 * device + np.where(half & (device == 1), shift, 0.0)
    keys = {"device": device, "cohort": 1 - device if swap else device, "store": device * 0 - 1, "customer": device * 0 - 1}
    keys |= {"time": np.tile(np.arange(rows) * HOUR, 2), "reference": ~half}
    write_table(path, iter([pa.RecordBatch.from_pydict(keys | columns)]))
    return FeatureTable(path, plan)


@pytest.fixture
def plan() -> FeaturePlan:
    return FeaturePlan((Metric(name="drain"), Metric(name="other")), timedelta(hours=12), timedelta(hours=24))


def _baselines(table: FeatureTable) -> BaselineSet:
    return compute_baselines(table, MEMBERS, BaselineSettings(profile_days=500))


def _found(drifts):
    return {(drift.feature, drift.level, drift.group): drift for drift in drifts}


def test_psi_is_the_sum_over_bins_by_hand():
    """Half and half against four and six: 0.1 ln(0.6/0.5) - 0.1 ln(0.4/0.5)."""
    expected, actual = np.array([0.5, 0.5]), np.array([0.4, 0.6])
    assert psi(expected, actual) == pytest.approx(0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5))
    assert psi(expected, expected) == 0.0
    assert np.isfinite(psi(expected, np.array([0.0, 1.0])))


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_psi_between_bins_by_the_earlier_tenths_and_ties_fall_above_an_edge(decimals):
    """As numpy's quantiles and a count of each bin give it, for values that are equal often, sometimes and never."""
    random = np.random.default_rng(3)
    before, after = (np.sort(np.round(random.normal(shift, 2.0, 501), decimals)) for shift in (0.0, 0.7))
    edges = [-np.inf, *np.unique(np.quantile(before, np.arange(1, 10) / 10)), np.inf]
    share = [
        np.array([np.mean((low <= values) & (values < high)) for low, high in pairwise(edges)]) for values in (before, after)
    ]
    assert psi_between(before, after) == pytest.approx(float(psi(*share)), rel=1e-12)


def test_a_shift_of_one_cohort_is_named_with_its_size(tmp_path, plan):
    """Two scales up in cohort B's second half; cohort A and the other metric stay."""
    table = _table(tmp_path / "f.parquet", plan, 2.0)
    drifts = feature_drift(table, _baselines(table), since=1000 * HOUR)
    assert (drifts[0].feature, drifts[0].group) == ("drain_mean", "B")
    found = _found(drifts)
    assert found["drain_mean", Level.COHORT, "B"].median_shift == pytest.approx(2.0, abs=0.15)
    assert found["drain_mean", Level.COHORT, "B"].psi > 1.0
    assert found["drain_mean", Level.COHORT, "A"].psi < 0.1
    assert all(drift.psi < 0.1 for drift in drifts if drift.feature != "drain_mean")
    assert {drift.level for drift in drifts} == {Level.GLOBAL, Level.COHORT}


@pytest.mark.parametrize("against", [True, False])
def test_rows_that_have_not_moved_do_not_drift(tmp_path, plan, against):
    """Also for a metric that is 0 most of the time, and for a fleet of two humps."""
    table = _table(tmp_path / "f.parquet", plan, zeros=0.7)
    drifts = feature_drift(table, _baselines(table), since=1000 * HOUR, against=table if against else None)
    assert max(drift.psi for drift in drifts) < 0.1
    assert max(abs(drift.median_shift) for drift in drifts if drift.level is Level.COHORT) < 0.15


def test_without_reference_rows_the_bins_are_those_of_a_normal(tmp_path, plan):
    """A normal feature has a PSI near 0 on them."""
    table = _table(tmp_path / "f.parquet", plan)
    found = _found(feature_drift(table, _baselines(table)))
    assert found["drain_mean", Level.COHORT, "A"].psi < 0.05


def test_an_approved_adjustment_is_no_drift(tmp_path, plan):
    """Shifting cohort B's baseline by what it moved takes its median shift away."""
    table = _table(tmp_path / "f.parquet", plan, 2.0)
    baselines = _baselines(table)
    move = Adjustment(level=Level.COHORT, group="B", feature="drain_mean", amount=2.0, full=2.0, base_median=0.0, scale=1.0)
    adjusted = replace(baselines, adjustments=(move,))
    found = _found(feature_drift(table, adjusted, since=1000 * HOUR))
    assert abs(found["drain_mean", Level.COHORT, "B"].median_shift) < 0.15


def test_an_adjustment_counts_from_its_onset_so_that_the_move_is_no_drift_any_more(tmp_path, plan):
    """Rows before it are compared with what was normal then: shifting both would leave the index as it was."""
    table = _table(tmp_path / "f.parquet", plan, 2.0)
    baselines = _baselines(table)
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=1000) - plan.window
    move = Adjustment(
        level=Level.COHORT, group="B", feature="drain_mean", amount=2.0, full=2.0, base_median=0.0, scale=1.0, since=since
    )
    before = _found(feature_drift(table, baselines, since=1000 * HOUR))
    after = _found(feature_drift(table, replace(baselines, adjustments=(move,)), since=1000 * HOUR))
    assert before["drain_mean", Level.COHORT, "B"].psi > 0.25
    assert after["drain_mean", Level.COHORT, "B"].psi < 0.1
    assert after["drain_mean", Level.COHORT, "A"] == before["drain_mean", Level.COHORT, "A"]


def test_cohorts_of_another_snapshot_are_matched_by_name(tmp_path, plan):
    """Codes that mean other cohorts there give the same drift."""
    table = _table(tmp_path / "f.parquet", plan, 2.0)
    other = _table(tmp_path / "g.parquet", plan, 2.0, swap=True)
    renamed = replace(MEMBERS, cohorts=(("B",), ("A",)))
    baselines = _baselines(table)
    same = feature_drift(table, baselines, since=1000 * HOUR)
    assert feature_drift(other, baselines, since=1000 * HOUR, members=renamed) == same


def test_scores_are_held_against_the_reference_and_the_threshold():
    """Equal scores do not drift; scores that fell are flagged more often than the contamination."""
    scores = np.random.default_rng(2).normal(size=20_000)
    reference = np.quantile(scores, np.linspace(0, 1, 1001))
    trained = Trained("fake", None, float(np.quantile(scores, 0.03)), "contamination 0.03", reference, rows=20_000)
    same, fallen = score_drift(scores, trained), score_drift(scores - 0.5, trained)
    assert same.psi < 0.01
    assert same.share_flagged == pytest.approx(0.03, abs=0.001)
    assert same.expected_share == pytest.approx(0.03, abs=0.001)
    assert fallen.psi > 0.1
    assert fallen.share_flagged > 0.07
    assert fallen.median_shift == pytest.approx(-0.5 / 1.349, abs=0.03)
    assert score_drift(np.array([np.nan]), trained).n == 0
