"""Frames that cannot be used as they are: each is refused with what to do, or has a stated outcome."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from server.domain.telemetry import Metric
from server.errors import InvalidInput, NotEnoughData
from server.library import (
    AnomalyDetectorConfig,
    DeviceFeatureBuilder,
    HybridAnomalyDetector,
    apply_baselines,
    compute_baselines,
)

_HOURS = 80


def small(devices: int = 3, hours: int = _HOURS) -> pd.DataFrame:
    """Hourly rows of a few devices with two metrics."""
    generator = np.random.default_rng(3)
    time = pd.date_range("2025-01-01", periods=hours, freq="h", tz="UTC")
    return pd.DataFrame(
        {
            "device_id": np.repeat([f"d{i}" for i in range(devices)], hours),
            "timestamp": np.tile(time, devices),
            "model": np.repeat([f"m{i % 2}" for i in range(devices)], hours),
            "load": generator.normal(10, 2, devices * hours),
            "heat": generator.normal(40, 1, devices * hours),
        }
    )


Spoil = Callable[[pd.DataFrame], object]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda frame: frame.drop(columns="device_id"), r"no column is known to be the device.*device=<column>.*device_name="),
        (lambda frame: frame.drop(columns="timestamp"), r"no column is known to be the time.*time=<column>"),
        (lambda frame: frame.set_index("timestamp"), r"call frame.reset_index\(\) first"),
        (lambda frame: frame.drop(columns=["load", "heat"]), r"no column is a metric.*metrics=\[...\]"),
        (lambda frame: frame.iloc[:0], "has no rows"),
        (lambda _: pd.DataFrame(), "has no rows"),
        (lambda frame: frame.to_dict("list"), "a pandas DataFrame is needed, not dict"),
        (
            lambda frame: pd.concat([frame, frame.iloc[[4]]]),
            r"1 repeat the device and time.*drop_duplicates\(\['device_id', 'timestamp'\]\)",
        ),
        (lambda frame: frame.rename(columns={"heat": "load"}), "column 'load' is there more than once"),
        (lambda frame: frame.rename(columns={"heat": 7}), r"column 7 is not named by text.*rename\(columns=str\)"),
        (lambda frame: frame.assign(device_id=[None, *frame["device_id"][1:]]), r"1 have no device \(index 0\): drop or mend"),
        (lambda frame: frame.assign(timestamp=[pd.NaT, *frame["timestamp"][1:]]), "1 have no time"),
        (lambda frame: frame.assign(timestamp="soon"), r"240 have a time that cannot be read \(index 0, 1, 2\)"),
        (lambda frame: frame.assign(device_id=["a", 1, *frame["device_id"][2:]]), r"'device_id' mixes kinds.*astype\(str\)"),
        (lambda frame: frame.assign(timestamp=frame["timestamp"] + timedelta(days=9000)), "240 are from the future"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused_with_what_to_do(spoil: Spoil, told: str) -> None:
    """The message names the column or rows, and the call or argument that helps."""
    with pytest.raises(InvalidInput, match=told):
        DeviceFeatureBuilder().transform(spoil(small()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"window": 0}, "window=0 is not above 0"),
        ({"lag": timedelta(hours=-1)}, "lag=.* is not above 0"),
        ({"device": "devise_id"}, "device=devise_id: there is no such column. Did you mean 'device_id'"),
        ({"metrics": ["laod"]}, "metrics=laod: there is no such column. Did you mean 'load'"),
    ],
)
def test_an_argument_that_fits_nothing_is_refused(options: dict[str, object], told: str) -> None:
    """Near matches are offered."""
    with pytest.raises(InvalidInput, match=told):
        DeviceFeatureBuilder(**options).transform(small())  # type: ignore[arg-type]


def test_rows_keep_their_order_and_index() -> None:
    """A shuffled frame with an index of its own comes back in that order, each row with its own features."""
    frame = small().set_axis([f"row {i}" for i in range(3 * _HOURS)], axis=0)
    mixed = frame.sample(frac=1, random_state=5)
    ours = DeviceFeatureBuilder().transform(mixed)
    assert ours.index.equals(mixed.index)
    pd.testing.assert_frame_equal(ours.loc[frame.index], DeviceFeatureBuilder().transform(frame), check_like=True)


def test_times_without_a_zone_are_utc() -> None:
    """Naive times, text and any other zone give the same features as the same moments in UTC."""
    frame = small()
    expected = DeviceFeatureBuilder().transform(frame)
    assert str(expected["timestamp"].dtype) == "datetime64[us, UTC]"
    for times in (
        frame["timestamp"].dt.tz_localize(None),
        frame["timestamp"].dt.tz_convert("Asia/Kolkata"),
        frame["timestamp"].dt.strftime("%Y-%m-%d %H:%M"),
        frame["timestamp"].dt.tz_localize(None).astype("datetime64[ns]"),
    ):
        pd.testing.assert_frame_equal(DeviceFeatureBuilder().transform(frame.assign(timestamp=times)), expected)


def test_the_cohort_column_is_the_mean_less_its_cohorts_median() -> None:
    """Over all rows of the cohort; without cohort columns, over the whole frame."""
    ours = DeviceFeatureBuilder().transform(small())
    expected = ours["load_mean"] - ours.groupby("model")["load_mean"].transform("median")
    np.testing.assert_allclose(ours["load_vs_cohort"], expected, rtol=1e-12, atol=1e-12)
    alone = DeviceFeatureBuilder(cohort=[]).transform(small())
    assert "model" not in alone.columns
    np.testing.assert_allclose(alone["load_vs_cohort"], alone["load_mean"] - alone["load_mean"].median(), atol=1e-12)


def test_empty_cohort_cells_are_filled_as_the_walk_fills_them() -> None:
    """From the device's row before, else its row after, else `unknown`."""
    frame = small()
    frame.loc[[5, _HOURS], "model"] = None
    frame.loc[frame["device_id"] == "d2", "model"] = None
    ours = DeviceFeatureBuilder().transform(frame)
    assert ours["model"].iloc[[5, _HOURS]].tolist() == ["m0", "m1"]
    assert set(ours.loc[ours["device_id"] == "d2", "model"]) == {"unknown"}


def test_bounds_and_sentinels_of_a_catalogue_make_values_missing() -> None:
    """A metric's entry acts as it does in a run."""
    frame = small()
    frame.loc[30, "load"] = -1.0
    ours = DeviceFeatureBuilder(catalogue=[Metric(name="load", sentinels=(-1.0,))]).transform(frame)
    assert np.isnan(ours.loc[30, "load_mean"])
    assert not np.isnan(DeviceFeatureBuilder().transform(frame).loc[30, "load_mean"])


def scored(frame: pd.DataFrame, **config: object) -> pd.DataFrame:
    """The whole flow."""
    features = DeviceFeatureBuilder().transform(frame)
    baselines = compute_baselines(features)
    z = apply_baselines(features, baselines)
    return HybridAnomalyDetector(AnomalyDetectorConfig(n_estimators=20, **config)).fit(z).score_dataframe(z, baselines)  # type: ignore[arg-type]


def test_one_device_is_scored_against_itself() -> None:
    """Named by a column or by `device_name`, it has the global level only, and rows are still flagged."""
    assert scored(small(devices=1))["is_anomaly"].any()
    nameless = small(devices=1).drop(columns="device_id")
    ours = DeviceFeatureBuilder(device_name="lathe 7").transform(nameless)
    assert set(ours["device_id"]) == {"lathe 7"}
    assert set(compute_baselines(ours).to_frame()["level"]) == {"global"}


def test_a_metric_without_values_is_left_out() -> None:
    """Its features are missing, it has no baselines, and it is named as no row's cause."""
    found = scored(small().assign(heat=np.nan))
    assert found["heat_mean_z"].isna().all()
    assert set(found.loc[found["is_anomaly"], "top_metric"]) == {"load"}


@pytest.mark.parametrize("values", [np.nan, 5.0])
def test_metrics_that_say_nothing_are_refused(values: float) -> None:
    """All missing: no baselines. All constant: nothing to train on. Each says so."""
    with pytest.raises((NotEnoughData, InvalidInput), match=r"Ingest more telemetry|do not vary"):
        scored(small().assign(load=values, heat=values))


def test_infinite_values_count_as_missing() -> None:
    """Their rows have no features of that metric, and every row still has a score."""
    frame = small()
    frame.loc[40, "load"] = np.inf
    found = scored(frame)
    assert np.isnan(found.loc[40, "load_mean"])
    assert np.isfinite(found[["anomaly_score", "severity"]]).all(axis=None)


def test_numeric_and_categorical_names_do_as_well_as_text() -> None:
    """Devices 0 to 2 as integers and models as categories: the same scores."""
    frame = small()
    coded = frame.assign(device_id=frame["device_id"].str[1:].astype(int), model=frame["model"].astype("category"))
    np.testing.assert_array_equal(scored(coded)["anomaly_score"], scored(frame)["anomaly_score"])
