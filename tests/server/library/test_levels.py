"""What levels, groups, exclusions and budgets do to baselines, z-scores and flags."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from server.errors import InvalidInput, NotEnoughData
from server.library import (
    AnomalyDetectorConfig,
    BaselineLevel,
    HybridAnomalyDetector,
    apply_baselines,
    compute_baselines,
    frames,
)
from server.library import detector as detector_module
from server.pipeline.train import sampled_devices

_GLOBAL = BaselineLevel("global")


def test_only_the_levels_that_were_asked_for_are_kept(features: pd.DataFrame) -> None:
    """Groups are those of the columns that were named, in whatever order the levels came."""
    levels = [BaselineLevel("site", "StoreId"), BaselineLevel("cohort", ["ModelId"]), _GLOBAL]
    found = compute_baselines(features, levels).to_frame()
    assert list(dict.fromkeys(found["level"])) == ["global", "cohort", "site"]
    assert set(found.loc[found["level"] == "cohort", "group"]) == set(features["ModelId"])
    pairs = features[["ModelId", "StoreId"]].drop_duplicates()
    assert set(found.loc[found["level"] == "site", "group"]) == set(pairs["ModelId"] + " @ " + pairs["StoreId"])


def test_a_column_that_was_added_later_can_make_a_level(features: pd.DataFrame) -> None:
    """Any column of the features' frame will do, also a number."""
    coloured = features.assign(colour=np.arange(len(features)) % 2)
    found = compute_baselines(coloured, [_GLOBAL, BaselineLevel("cohort", ["colour"])]).to_frame()
    assert set(found.loc[found["level"] == "cohort", "group"]) == {"0", "1"}


def test_each_level_has_its_own_least_number_of_rows(features: pd.DataFrame) -> None:
    """With more than any device has, the device level is passed over and the cohort's stands behind every z-score."""
    cohort = BaselineLevel("cohort", ["ModelId"])
    for least, level in ((25, {"device"}), (100_000, {"cohort"})):
        baselines = compute_baselines(features, [_GLOBAL, cohort, BaselineLevel("device", ["DeviceId"], min_rows=least)])
        shown = apply_baselines(features, baselines, show_levels=True)
        assert set(shown["Download_mean_level"]) == level
        assert set(shown["Download_mean_vs_cohort_level"]) == {"cohort"}
        assert shown["Download_mean_n"].min() > 0


def test_a_device_that_was_never_seen_is_held_against_its_cohort(features: pd.DataFrame) -> None:
    """And one of a cohort that was never seen, against the fleet."""
    baselines = compute_baselines(
        features, [_GLOBAL, BaselineLevel("cohort", ["ModelId"]), BaselineLevel("device", ["DeviceId"])]
    )
    new = features.assign(DeviceId="new " + features["DeviceId"])
    shown = apply_baselines(new, baselines, show_levels=True)
    assert set(shown["Upload_std_level"]) == {"cohort"}
    shown = apply_baselines(new.assign(ModelId="Z1"), baselines, show_levels=True)
    assert set(shown["Upload_std_level"]) == {"global"}
    assert (shown["Upload_std_n"] == features["Upload_std"].notna().sum()).all()


def test_excluded_rows_do_not_move_baselines(features: pd.DataFrame) -> None:
    """A fault that is marked leaves the median as it was without those rows."""
    bad = pd.Series(features["DeviceId"] == features["DeviceId"].iloc[0], index=features.index)
    raised = features.copy()
    raised.loc[bad, "Upload_mean"] += 100.0
    ours = compute_baselines(raised, [_GLOBAL], excluded=bad, profile_days=1000).to_frame().set_index("feature")
    assert ours.loc["Upload_mean", "median"] == pytest.approx(features.loc[~bad, "Upload_mean"].median())
    with pytest.raises(InvalidInput, match="another index"):
        compute_baselines(features, excluded=bad.iloc[1:])
    with pytest.raises(NotEnoughData, match="fleet: 0 usable rows"):
        compute_baselines(features, excluded=bad | True)


def test_z_scores_are_replaced_when_baselines_are_applied_again(features: pd.DataFrame) -> None:
    """Nothing is left of the earlier ones."""
    wide, narrow = compute_baselines(features, [_GLOBAL]), compute_baselines(features)
    twice = apply_baselines(apply_baselines(features, wide), narrow)
    pd.testing.assert_frame_equal(twice, apply_baselines(features, narrow))
    assert not twice.equals(apply_baselines(features, wide))


def test_the_threshold_stays_when_other_rows_are_scored(features: pd.DataFrame) -> None:
    """A part scored alone is flagged as it is among all; an alert budget flags about so many a day."""
    baselines = compute_baselines(features)
    z = apply_baselines(features, baselines)
    detector = HybridAnomalyDetector(AnomalyDetectorConfig(n_estimators=20, alerts_per_day=5)).fit(z)
    scored = detector.score_dataframe(z, baselines)
    days = (features["Timestamp"].max() - features["Timestamp"].min()) / pd.Timedelta(days=1)
    assert scored["is_anomaly"].sum() == pytest.approx(5 * days, abs=2)
    part = detector.score_dataframe(z.iloc[100:200], baselines)
    pd.testing.assert_frame_equal(part, scored.iloc[100:200])


def test_without_baselines_causes_name_no_level(features: pd.DataFrame) -> None:
    """Scores and flags are the same; what is typical is not known."""
    baselines = compute_baselines(features)
    z = apply_baselines(features, baselines)
    detector = HybridAnomalyDetector(AnomalyDetectorConfig(n_estimators=20)).fit(z)
    bare, full = detector.score_dataframe(z), detector.score_dataframe(z, baselines)
    same = ["anomaly_score", "severity", "is_anomaly", "top_metric"]
    pd.testing.assert_frame_equal(bare[same], full[same])
    first, second = (frame.loc[frame["is_anomaly"], "contributions"].iloc[0][0] for frame in (bare, full))
    assert (first["level"], first["typical"], first["n"]) == (None, None, 0)
    assert second["level"] == "device"
    assert first["value"] == second["value"]


def test_long_frames_are_worked_on_in_stretches_of_whole_devices(
    features: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one ends and the next begins changes no baseline, z-score or score, and every row is there once."""

    def walked() -> tuple[pd.DataFrame, pd.DataFrame]:
        baselines = compute_baselines(mixed)
        z = apply_baselines(mixed, baselines, show_levels=True)
        detector = HybridAnomalyDetector(AnomalyDetectorConfig(n_estimators=10)).fit(z)
        return baselines.to_frame(), detector.score_dataframe(z, baselines)

    mixed = features.sample(frac=1, random_state=2)
    whole = walked()
    monkeypatch.setattr(frames, "_BLOCK_ROWS", 500)
    for found, expected in zip(walked(), whole, strict=True):
        pd.testing.assert_frame_equal(found, expected)


def test_a_large_frame_is_trained_on_some_of_its_devices(features: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly spaced whole devices, as in a walk; all rows are scored."""
    monkeypatch.setattr(detector_module, "sampled_devices", partial(sampled_devices, limit=2000))
    z = apply_baselines(features, compute_baselines(features))
    detector = HybridAnomalyDetector(AnomalyDetectorConfig(n_estimators=10)).fit(z)
    counts = features["DeviceId"].value_counts().sort_index()
    assert detector.trained.rows == counts.iloc[sampled_devices(counts.tolist(), 2000)].sum() < len(features)
    assert detector.score_dataframe(z)["severity"].notna().all()
