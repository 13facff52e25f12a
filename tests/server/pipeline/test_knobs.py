"""Each knob changes scores, and exactly those that it is about."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from server.detectors.hybrid import HybridDetector
from server.detectors.registry import Detectors
from server.domain.baseline import Adjustment, Level
from server.domain.settings import BaselineSettings, DetectorSettings
from server.pipeline.baselines import RawFallback, compute_baselines
from server.pipeline.train import train_detector


def scores(fleet, trained, baselines) -> np.ndarray:
    return fleet.score(trained, baselines).column("score").to_numpy()


def shifted(baselines, level: Level, group: int, feature: str, scales: float):
    index = [each.name for each in baselines.features].index(feature)
    own = next(each for each in baselines.levels if each.level is level)
    scale = float(own.scale[group, index])
    move = Adjustment(
        level=level, group=own.groups[group], feature=feature, amount=scales * scale, full=scales * scale,
        base_median=float(own.median[group, index]), scale=scale,
    )  # fmt: skip
    return replace(baselines, adjustments=(move,))


def last_group(baselines, level: Level) -> int:
    """The group that a row without one (-1) would be taken for, were codes used as indices unguarded."""
    return len(next(each for each in baselines.levels if each.level is level).groups) - 1


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("feature", ["errors_mean", "level_mean", "offline_std"])
def test_an_adjustment_moves_the_scores_of_its_group_and_no_others(
    fleet, baselines, trained, level: Level, feature: str
) -> None:
    """At every level, the fleet's included: exactly the group's rows that have the feature get another score."""
    group = last_group(baselines, level)
    before, after = (scores(fleet, trained, b) for b in (baselines, shifted(baselines, level, group, feature, 60.0)))
    table = fleet.table()
    cohort, device = table.key("cohort"), table.key("device")
    member = {
        Level.GLOBAL: np.zeros(len(device)),
        Level.COHORT: cohort,
        Level.SITE: baselines.grouping.site_codes(cohort, table.key("store")),
        Level.DEVICE: device,
    }
    affected = (member[level] == group) & np.isfinite(table.column(feature))
    assert affected.any()
    np.testing.assert_array_equal(before != after, affected)


@pytest.mark.parametrize("level", list(Level))
def test_a_small_adjustment_moves_scores_too(fleet, baselines, trained, level: Level) -> None:
    """A tenth of a scale: no group's rows outside move, most inside do."""
    group = last_group(baselines, level)
    before, after = (scores(fleet, trained, b) for b in (baselines, shifted(baselines, level, group, "level_mean", 0.1)))
    assert (before != after).any()


def test_contamination_changes_flags_and_not_scores(fleet, baselines, trained) -> None:
    """It is a quantile of the scores, fixed at calibration: lower flags fewer."""
    strict = fleet.train(baselines, contamination=0.01)
    usual, fewer = fleet.score(trained, baselines), fleet.score(strict, baselines)
    assert usual.column("score").equals(fewer.column("score"))
    flags = [np.asarray(table.column("is_anomaly")) for table in (usual, fewer)]
    assert flags[0].sum() > 2 * flags[1].sum() > 0
    assert not (flags[1] & ~flags[0]).any()


def test_an_alert_budget_replaces_contamination(fleet, baselines) -> None:
    """So many a day of all the fleet's rows a day."""
    budget = fleet.train(baselines, alerts_per_day=2.88)
    assert "alert budget" in budget.calibration
    assert budget.threshold == fleet.train(baselines, contamination=0.01).threshold


@pytest.mark.parametrize("detector", Detectors().names)
@pytest.mark.parametrize("domain", ["battery", "connectivity", "usage", "system"])
@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_each_domain_weight_changes_scores(fleet, baselines, detector: str, domain: str, weight: float) -> None:
    """Of every registered detector, up or silenced."""
    usual, turned = (
        fleet.train(baselines, name=detector),
        fleet.train(baselines, name=detector, domain_weights={domain: weight}),
    )
    assert (scores(fleet, usual, baselines) != scores(fleet, turned, baselines)).mean() > 0.5


def test_a_silenced_domain_has_no_say(fleet, baselines) -> None:
    """With weight 0, a fault of that domain moves no score."""
    trained = fleet.train(baselines, domain_weights={"connectivity": 0})
    moved = shifted(baselines, Level.GLOBAL, 0, "offline_mean", 60.0)
    np.testing.assert_array_equal(scores(fleet, trained, baselines), scores(fleet, trained, moved))


@pytest.mark.parametrize("plan", [{"window": timedelta(hours=6)}, {"lag": timedelta(hours=48)}])
def test_window_and_lag_change_scores(fleet, baselines, plan: dict[str, timedelta]) -> None:
    """With a detector that looks at every statistic."""
    turned_plan = replace(fleet.plan, **plan)
    turned = compute_baselines(fleet.table(turned_plan), fleet.members, BaselineSettings())
    left = scores(fleet, fleet.train(baselines, name="isolation_forest"), baselines)
    right = scores(fleet, fleet.train(turned, name="isolation_forest"), turned)
    assert (left != right).mean() > 0.5


def test_min_rows_changes_scores(fleet, baselines, trained) -> None:
    """Where no device has enough rows, a wider level takes its place, and says so."""
    wide = fleet.baselines(BaselineSettings(min_rows=1000))
    assert (scores(fleet, trained, baselines) != scores(fleet, trained, wide)).mean() > 0.9
    flagged = fleet.score(trained, wide).column("contributions").drop_null().to_pylist()
    assert flagged
    assert not any(part["level"] == "device" for text in flagged for part in json.loads(text))


@pytest.mark.parametrize("knob", [{"n_estimators": 31}, {"max_samples": 64}, {"random_state": 7}])
def test_the_forests_knobs_change_scores(fleet, baselines, trained, knob: dict[str, int]) -> None:
    """Trees, samples and seed."""
    turned = fleet.train(baselines, **knob)
    assert (scores(fleet, trained, baselines) != scores(fleet, turned, baselines)).mean() > 0.5


def test_min_variance_leaves_columns_out(fleet, baselines) -> None:
    """A bar above the variance of some columns changes the forest."""
    usual = fleet.train(baselines, name="isolation_forest")
    picky = fleet.train(baselines, name="isolation_forest", min_variance=1.0)
    assert 0 < len(picky.scorer.filled.columns) < len(usual.scorer.filled.columns)


def test_each_detector_scores_differently(fleet, baselines) -> None:
    """The name is a knob as well."""
    found = [scores(fleet, fleet.train(baselines, name=name), baselines) for name in Detectors().names]
    assert all((left != right).mean() > 0.9 for i, left in enumerate(found) for right in found[:i])


def test_a_kept_threshold_stays(fleet, baselines, trained) -> None:
    """Scores that are comparable keep the threshold that they were calibrated with."""
    settings = DetectorSettings(n_estimators=30, contamination=0.2)
    kept = train_detector(
        fleet.matrices(baselines), HybridDetector(), settings, rows_per_day=1, keep=(trained.threshold, "as before")
    )
    assert (kept.threshold, kept.calibration) == (trained.threshold, "as before")


def test_raw_features_are_said_to_be_raw(fleet) -> None:
    """A walk without baselines scores, and its contributions name no level."""
    raw = RawFallback("no baselines", fleet.plan)
    trained = fleet.train(raw)
    flagged = fleet.score(trained, raw).column("contributions").drop_null().to_pylist()
    assert flagged
    assert all(part["level"] is None for text in flagged for part in json.loads(text))
