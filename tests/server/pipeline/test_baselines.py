"""Baselines at each level against pandas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.baseline import Level
from server.domain.settings import BaselineSettings
from server.errors import NotEnoughData
from server.pipeline.baselines import MAD_TO_SIGMA, MEAN_DEVIATION_TO_SIGMA, compute_baselines
from server.pipeline.normalize import Normalizer, _columnwise_median
from server.pipeline.stored import baseline_rows

KEYS = {Level.GLOBAL: "fleet", Level.COHORT: "cohort", Level.SITE: "site", Level.DEVICE: "device"}
NO_PROFILE = BaselineSettings(profile_days=1000)


@pytest.fixture(scope="module")
def plain(fleet):
    return fleet.baselines(NO_PROFILE)


@pytest.mark.parametrize("level", list(Level))
def test_medians_counts_and_scales_equal_pandas_groupby(fleet, plain, as_frame, level: Level) -> None:
    """Median exact; scale the larger of 1.4826 MAD and 1.2533 mean deviations, floored."""
    found = next(each for each in plain.levels if each.level is level)
    frame = as_frame[as_frame["reference"]]
    for index, feature in enumerate(fleet.plan.features):
        groups = frame.groupby(KEYS[level])[feature.name]
        median = groups.median()
        gap = (frame[feature.name] - groups.transform("median")).abs().groupby(frame[KEYS[level]])
        scale = np.maximum(MAD_TO_SIGMA * gap.median(), MEAN_DEVIATION_TO_SIGMA * gap.mean())
        floor = max((feature.metric.resolution or 0) / 12**0.5, 0.01 * scale.mean())
        assert len(median) == len(found.groups)
        np.testing.assert_array_equal(found.median[:, index], median)
        np.testing.assert_array_equal(found.count[:, index], groups.count())
        np.testing.assert_allclose(found.scale[:, index], np.maximum(scale, floor), rtol=1e-10)


def test_rows_that_may_not_be_fitted_on_and_excluded_rows_are_left_out(fleet, plain) -> None:
    """Excluding all rows of one device leaves it without a count and changes the fleet's."""
    table = fleet.table()
    excluded = table.key("device") == 3
    found = compute_baselines(table, fleet.members, NO_PROFILE, excluded=excluded)
    assert (found.levels[-1].count[3] == 0).all()
    assert (found.levels[0].count < plain.levels[0].count).all()
    np.testing.assert_array_equal(found.levels[-1].median[4:], plain.levels[-1].median[4:])


def test_a_daily_rhythm_is_taken_out_of_the_baselines(baselines, plain) -> None:
    """With enough history, the profile explains the rhythm and the scale around it is smaller."""
    assert baselines.profile is not None
    level = [feature.name for feature in baselines.features].index("level_mean")
    deviation = baselines.profile.deviation[:, level].reshape(-1, baselines.profile.hours)
    assert np.ptp(deviation[1:], axis=1).min() > 10
    assert baselines.levels[-1].scale[:, level].mean() < 0.6 * plain.levels[-1].scale[:, level].mean()


def test_a_fleet_with_too_few_rows_has_no_baselines(fleet) -> None:
    """Both numbers are in the error."""
    with pytest.raises(NotEnoughData, match=r"at least 1,000,000 are needed"):
        fleet.baselines(BaselineSettings(min_rows=1_000_000))


def test_two_threads_find_the_same_baselines(fleet, baselines) -> None:
    """To the last bit."""
    again = fleet.baselines(threads=2)
    for left, right in zip(baselines.levels, again.levels, strict=True):
        for name in ("median", "scale", "count"):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    np.testing.assert_array_equal(baselines.profile.deviation, again.profile.deviation)


def test_every_group_and_feature_with_rows_is_listed_for_the_store(baselines) -> None:
    """A row a feature and group, medians as adjusted."""
    rows = baseline_rows(baselines).to_pandas()
    assert len(rows) == sum(int((level.count > 0).sum()) for level in baselines.levels)
    device = rows[(rows["level"] == "device") & (rows["group"] == "device-05") & (rows["feature"] == "errors_mean")]
    column = [feature.name for feature in baselines.features].index("errors_mean")
    assert device["median"].item() == baselines.levels[-1].median[5, column]
    assert device["n"].item() == baselines.levels[-1].count[5, column]


@pytest.mark.parametrize("device", [0, 5, 7])
def test_a_rows_expectation_is_what_its_z_is_taken_from(fleet, baselines, device: int) -> None:
    """(feature - expected centre) / expected scale is the z of the design matrix, for own-level and cohort columns."""
    normalizer = Normalizer(baselines)
    block = next(part for part in fleet.table().blocks() if device in part.column("device").to_numpy())
    matrix = normalizer.matrix(block)
    rows = np.flatnonzero(block.column("device").to_numpy() == device)[::17]
    expected = normalizer.expectation(block, rows)
    means = len(fleet.plan.metrics)
    assert (expected.level[:, :-means] == len(baselines.levels) - 1).all()
    assert (expected.level[:, -means:] == 1).all(), "a column against the cohort rests on no narrower level"
    names = [f"{column.metric.name}_{column.statistic.value}" for column in matrix.columns]
    features = np.stack([block.column(name).to_numpy()[rows] for name in names], axis=1)
    np.testing.assert_allclose(matrix.z[rows], (features - expected.centre) / expected.scale, rtol=1e-5, atol=1e-5)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_medians_of_columns_equal_numpys(rows: int, seed: int) -> None:
    """With values missing, and columns without a value."""
    chance = np.random.default_rng(seed)
    values = np.where(chance.random((rows, 4)) < 0.4, np.nan, chance.normal(size=(rows, 4)))
    found = _columnwise_median(values)
    for column in range(4):
        known = values[:, column][np.isfinite(values[:, column])]
        np.testing.assert_equal(found[column], np.median(known) if len(known) else np.nan)
