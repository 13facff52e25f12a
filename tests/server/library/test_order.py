"""Calls out of order are refused with the call that is missing; parts that do not fit together, with what does."""

import pandas as pd
import pytest

from server.errors import InvalidInput, NotFound, StageNotReady
from server.library import (
    AnomalyDetectorConfig,
    BaselineLevel,
    Baselines,
    DeviceFeatureBuilder,
    HybridAnomalyDetector,
    apply_baselines,
    compute_baselines,
    save_anomaly_results,
)

_SMALL = AnomalyDetectorConfig(n_estimators=20)


@pytest.fixture(scope="module")
def baselines(features: pd.DataFrame) -> Baselines:
    return compute_baselines(features)


@pytest.fixture(scope="module")
def z_scores(features: pd.DataFrame, baselines: Baselines) -> pd.DataFrame:
    return apply_baselines(features, baselines)


@pytest.fixture(scope="module")
def detector(z_scores: pd.DataFrame) -> HybridAnomalyDetector:
    return HybridAnomalyDetector(_SMALL).fit(z_scores)


def test_raw_telemetry_has_no_baselines(telemetry: pd.DataFrame, baselines: Baselines) -> None:
    """Both calls on it name the one that makes features."""
    with pytest.raises(StageNotReady, match=r"compute_baselines needs .* Call DeviceFeatureBuilder.transform next"):
        compute_baselines(telemetry)
    with pytest.raises(StageNotReady, match=r"apply_baselines needs .* Call DeviceFeatureBuilder.transform next"):
        apply_baselines(telemetry, baselines)


def test_features_are_not_trained_on(features: pd.DataFrame, telemetry: pd.DataFrame) -> None:
    """Neither features nor raw telemetry stand in for z-scores."""
    for frame in (features, telemetry):
        with pytest.raises(StageNotReady, match="Call apply_baselines next"):
            HybridAnomalyDetector(_SMALL).fit(frame)


def test_nothing_is_scored_before_fit(z_scores: pd.DataFrame) -> None:
    """The refusal names `fit`."""
    with pytest.raises(StageNotReady, match=r"Call HybridAnomalyDetector.fit next"):
        HybridAnomalyDetector(_SMALL).score_dataframe(z_scores)


def test_only_scored_frames_are_saved(z_scores: pd.DataFrame, tmp_path: object) -> None:
    """The refusal names `score_dataframe`, and no store is made."""
    with pytest.raises(StageNotReady, match=r"Call HybridAnomalyDetector.score_dataframe next"):
        save_anomaly_results(z_scores, str(tmp_path))
    assert not list(tmp_path.iterdir())  # type: ignore[attr-defined]


def test_a_join_that_lost_the_note_is_told_of(features: pd.DataFrame) -> None:
    """pandas drops `attrs` there; putting them back is enough."""
    joined = features.join(pd.DataFrame({"colour": "red"}, index=features.index))
    joined.attrs = {}
    with pytest.raises(StageNotReady, match=r"set frame.attrs = earlier.attrs"):
        compute_baselines(joined)
    joined.attrs = features.attrs
    assert len(compute_baselines(joined).to_frame())


def test_parts_that_were_not_made_for_each_other_are_refused(
    telemetry: pd.DataFrame, baselines: Baselines, z_scores: pd.DataFrame, detector: HybridAnomalyDetector
) -> None:
    """Other windows, other baselines, a lost column: each says which call mends it."""
    other = DeviceFeatureBuilder(window=6).transform(telemetry)
    with pytest.raises(InvalidInput, match=r"other metrics or windows. Call compute_baselines"):
        apply_baselines(other, baselines)
    others = compute_baselines(other)
    with pytest.raises(InvalidInput, match=r"other metrics or windows. Call HybridAnomalyDetector.fit"):
        detector.score_dataframe(apply_baselines(other, others))
    with pytest.raises(InvalidInput, match=r"made with other baselines. Call apply_baselines"):
        detector.score_dataframe(z_scores, others)
    with pytest.raises(InvalidInput, match="trained on 'Download_mean_z', which this frame lacks"):
        detector.score_dataframe(z_scores.drop(columns="Download_mean_z"))
    with pytest.raises(InvalidInput, match="'Download_mean' is gone"):
        compute_baselines(z_scores.drop(columns="Download_mean"))


def test_columns_left_out_before_training_do_not_count(z_scores: pd.DataFrame) -> None:
    """Dropping a metric's z-scores silences it: training and scoring go on without."""
    silent = [name for name in z_scores.columns if name.startswith("Total") and name.endswith("_z")]
    kept = z_scores.drop(columns=silent)
    scored = HybridAnomalyDetector(_SMALL).fit(kept).score_dataframe(kept)
    assert scored["is_anomaly"].any()
    assert not scored["top_metric"].dropna().str.startswith("Total").any()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"contamination": 0.9}, "contamination=0.9"),
        ({"n_estimators": 0}, "n_estimators=0"),
        ({"domain_weights": {"battery": -1}}, "domain_weights.battery=-1"),
    ],
)
def test_a_setting_out_of_bounds_is_named(options: dict[str, object], told: str) -> None:
    """Refused when the configuration is made, not at the end of a walk."""
    with pytest.raises(InvalidInput, match=told):
        AnomalyDetectorConfig(**options)  # type: ignore[arg-type]


def test_an_unknown_detector_is_refused_with_near_matches(z_scores: pd.DataFrame) -> None:
    """Any installed detector can be named."""
    with pytest.raises(NotFound, match="Did you mean isolation_forest"):
        HybridAnomalyDetector(AnomalyDetectorConfig(detector="isolation_forrest")).fit(z_scores)
    assert HybridAnomalyDetector(AnomalyDetectorConfig(detector="robust_z")).fit(z_scores).trained.detector == "robust_z"


def test_levels_are_checked_by_name_and_column(features: pd.DataFrame) -> None:
    """Each refusal says what would do."""
    cases: list[tuple[list[BaselineLevel], str]] = [
        ([BaselineLevel("global"), BaselineLevel("cohort", ["ModelID"])], "no column 'ModelID'. Did you mean ModelId"),
        ([BaselineLevel("cohort", ["ModelId"])], "global level is missing"),
        ([BaselineLevel("global", ["ModelId"])], "has no group columns"),
        ([BaselineLevel("global"), BaselineLevel("device", ["ModelId"])], r'BaselineLevel\("device", \[\'DeviceId\'\]\)'),
        ([BaselineLevel("global"), BaselineLevel("global")], "given twice"),
        ([BaselineLevel("global"), BaselineLevel("cohort")], "cohort level has no group columns"),
        ([BaselineLevel("global"), BaselineLevel("site")], "site level has no group column"),
    ]
    for levels, told in cases:
        with pytest.raises(InvalidInput, match=told):
            compute_baselines(features, levels)
    with pytest.raises(InvalidInput, match="Did you mean cohort"):
        BaselineLevel("cohrot")
    with pytest.raises(InvalidInput, match="min_rows=1 is below 2"):
        BaselineLevel("global", min_rows=1)


def test_keys_that_were_spoilt_after_transform_are_refused(features: pd.DataFrame) -> None:
    """Overlapping windows put together, devices or times gone or made something else: each is told of."""
    first = features.index[0]
    cases: list[tuple[pd.DataFrame, str]] = [
        (pd.concat([features, features.iloc[5:8]]), r"3 rows repeat a device and time. .*drop_duplicates"),
        (features.assign(DeviceId=features["DeviceId"].where(features.index != first)), "1 rows have no 'DeviceId'"),
        (features.assign(Timestamp=features["Timestamp"].where(features.index != first)), "1 rows have no 'Timestamp'"),
        (features.assign(Timestamp=features["Timestamp"].astype(str)), "'Timestamp' holds no times"),
        (features.drop(columns="DeviceId"), "no column 'DeviceId'|'DeviceId' is gone"),
        (features.drop(columns="StoreId"), "no column 'StoreId'"),
    ]
    for frame, told in cases:
        with pytest.raises(InvalidInput, match=told):
            compute_baselines(frame)
