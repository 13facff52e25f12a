"""Features of blocks."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from server.domain.baseline import Statistic
from server.domain.settings import FeatureSettings
from server.domain.telemetry import Fleet, Snapshot
from server.pipeline.features import engineer_features, featurise, plan_features


def test_features_of_a_block_equal_pandas_by_device(fleet) -> None:
    """Log-transformed metrics are rolled over in logs; a row without a value has no feature of that metric."""
    block = fleet.blocks[0]
    frame = block.to_pandas().assign(bytes=lambda made: np.log1p(made["bytes"]))
    frame.index = pd.to_datetime(frame["time"], unit="us")
    made = featurise(block, fleet.plan).to_pandas()
    for metric in ("level", "bytes"):
        rolling = frame.groupby("device")[metric].rolling("12h", closed="right", min_periods=fleet.plan.min_count)
        missing = np.isnan(frame[metric].to_numpy())
        mean = np.where(missing, np.nan, rolling.mean().to_numpy())
        std = np.where(missing, np.nan, rolling.std().to_numpy())
        np.testing.assert_allclose(made[f"{metric}_mean"], mean, rtol=1e-10)
        np.testing.assert_allclose(made[f"{metric}_std"], std, rtol=1e-6)


def test_two_threads_make_the_same_features_in_the_same_order(fleet) -> None:
    """Threads change the time that it takes, and nothing else."""
    one, two = (list(engineer_features(fleet.blocks * 3, fleet.plan, threads=threads)) for threads in (1, 2))
    assert [part.num_rows for part in one] == [part.num_rows for part in two]
    for left, right in zip(one, two, strict=True):
        assert left.to_pandas().equals(right.to_pandas())


def test_history_before_the_lookback_changes_no_feature(fleet) -> None:
    """A later part of a device needs `plan.lookback` of what came before, and no more."""
    block = fleet.blocks[0].filter(pa.array(fleet.blocks[0].column("device").to_numpy() == 1))
    time = block.column("time").to_numpy()
    row = 200
    begin = int(np.searchsorted(time, time[row] - fleet.plan.lookback // timedelta(microseconds=1), side="right"))
    whole, cut = featurise(block, fleet.plan), featurise(block.slice(begin), fleet.plan)
    assert begin > 100
    for feature in fleet.plan.features:
        left, right = (part.column(feature.name).to_numpy() for part in (whole.slice(row), cut.slice(row - begin)))
        np.testing.assert_array_equal(left, right)


def test_window_and_lag_each_change_the_features(fleet) -> None:
    """Turning either knob moves the features that it is about."""
    usual = featurise(fleet.blocks[0], fleet.plan).to_pandas()
    wider = featurise(fleet.blocks[0], replace(fleet.plan, window=timedelta(hours=6))).to_pandas()
    longer = featurise(fleet.blocks[0], replace(fleet.plan, lag=timedelta(hours=48))).to_pandas()
    for statistic in Statistic:
        assert not usual[f"level_{statistic.value}"].equals(wider[f"level_{statistic.value}"])
    assert usual["level_mean"].equals(longer["level_mean"])
    assert not usual["level_change"].equals(longer["level_change"])


def test_windows_follow_the_sampling_rhythm_unless_set(fleet) -> None:
    """Hourly rows get 12 hours, five-minute rows an hour, and changes since one window before; what is set is kept."""
    snapshot = Snapshot(
        fleet=Fleet(), sequence=1, digest="", rows=1, devices=1, metrics=fleet.plan.metrics, interval=timedelta(hours=1)
    )
    plan = plan_features(snapshot, FeatureSettings())
    assert (plan.window, plan.lag) == (timedelta(hours=12), timedelta(hours=12))
    often = snapshot.model_copy(update={"interval": timedelta(minutes=5)})
    assert plan_features(often, FeatureSettings()).window == timedelta(hours=1)
    assert plan_features(often, FeatureSettings(window=timedelta(hours=3))).lag == timedelta(hours=3)
    assert plan_features(often, FeatureSettings(lag=timedelta(days=1))).lag == timedelta(days=1)


def test_jitter_of_the_sampling_rhythm_leaves_the_windows_as_they_are(fleet) -> None:
    """A later snapshot, measured a few seconds off the hour, has the windows of the one before."""
    snapshot = Snapshot(
        fleet=Fleet(name="shop"),
        sequence=1,
        digest="d",
        rows=1,
        devices=1,
        metrics=fleet.plan.metrics,
        interval=timedelta(hours=1),
    )
    measured = (timedelta(hours=1), timedelta(seconds=3603.2), timedelta(seconds=3597), timedelta(seconds=1.01))
    windows = [plan_features(snapshot.model_copy(update={"interval": each}), FeatureSettings()).window for each in measured]
    assert windows == [timedelta(hours=12)] * 3 + [timedelta(seconds=12)]
    odd = snapshot.model_copy(update={"interval": timedelta(seconds=3300)})
    assert plan_features(odd, FeatureSettings()).window == timedelta(hours=11)
