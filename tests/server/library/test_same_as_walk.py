"""The library over the same rows and settings as a walk gives the walk's features, baselines and scores."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from server.app import App
from server.domain.run import SourceSpec, Stage
from server.domain.settings import DetectorSettings, FeatureSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.library import (
    AnomalyDetectorConfig,
    BaselineLevel,
    Baselines,
    DeviceFeatureBuilder,
    HybridAnomalyDetector,
    apply_baselines,
    compute_baselines,
)
from server.pipeline.baselines import BaselineSet
from server.pipeline.stored import baseline_rows
from server.settings import Settings, StoreSettings

_COHORT = ["ManufacturerId", "ModelId", "OsVersionId"]
_LEVELS = [
    BaselineLevel("device", ["DeviceId"]),
    BaselineLevel("site", [*_COHORT, "StoreId"]),
    BaselineLevel("cohort", _COHORT),
    BaselineLevel("global", []),
]
_SCORES = ["score", "severity", "is_anomaly", "confidence"]


class Walked:
    """A walk of the telemetry file up to its scores, as frames."""

    def __init__(self, file: Path, home: Path) -> None:
        settings = WalkSettings(
            features=FeatureSettings(window=timedelta(hours=12), lag=timedelta(hours=24)),
            detector=DetectorSettings(contamination=0.05, n_estimators=50, domain_weights={"battery": 2.0}),
        )
        with App(Settings(home=home, threads=1, store=StoreSettings(url=None))) as app:
            run = app.walk.start(Fleet(), SourceSpec(connector="files", location=str(file)), settings)
            run = app.walk.advance("default", run.id, Stage.SCORE)
            stages = app.walk.stages
            self.members = stages.members(run)
            self.features = self._frame(stages.feature_table(run).path)
            self.scores = self._frame(stages.scores(run))
            found = stages.baseline_set(run)
            assert isinstance(found, BaselineSet)
            self.baselines = baseline_rows(found).to_pandas()

    def _frame(self, path: Path) -> pd.DataFrame:
        frame = pq.read_table(path).to_pandas()
        return frame.assign(device=np.array(self.members.devices)[frame["device"]]).sort_values(["device", "time"])


@pytest.fixture(scope="module")
def walked(telemetry_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    return Walked(telemetry_file, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def shuffled(telemetry: pd.DataFrame) -> pd.DataFrame:
    return telemetry.sample(frac=1, random_state=7)


@pytest.fixture(scope="module")
def baselines(shuffled: pd.DataFrame) -> Baselines:
    return compute_baselines(DeviceFeatureBuilder(window=12, lag=24).transform(shuffled), _LEVELS)


def _as_walked(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["DeviceId", "Timestamp"])


def test_features_equal_those_of_the_walk(shuffled: pd.DataFrame, walked: Walked) -> None:
    """Every feature of every row, whatever order the rows come in."""
    ours = _as_walked(DeviceFeatureBuilder(window=12, lag=24).transform(shuffled))
    names = [name for name in walked.features.columns if name.endswith(("_mean", "_std", "_change"))]
    assert len(names) == 24
    np.testing.assert_array_equal(ours[names].to_numpy(), walked.features[names].to_numpy())


def test_baselines_equal_those_of_the_walk(baselines: Baselines, walked: Walked) -> None:
    """Every statistic of every group of every level, the levels given narrowest first."""
    ours = baselines.to_frame().sort_values(["level", "group", "feature"], ignore_index=True)
    theirs = walked.baselines[ours.columns].sort_values(["level", "group", "feature"], ignore_index=True)
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("as_parquet", [False, True])
def test_scores_equal_those_of_the_walk(
    shuffled: pd.DataFrame, baselines: Baselines, walked: Walked, tmp_path: Path, as_parquet: bool
) -> None:
    """Score, severity, flag, confidence and causes of every row, also where frames were kept as Parquet in between."""
    z = apply_baselines(DeviceFeatureBuilder(window=12, lag=24).transform(shuffled), baselines)
    if as_parquet:
        z.to_parquet(tmp_path / "z.parquet")
        z = pd.read_parquet(tmp_path / "z.parquet")
    config = AnomalyDetectorConfig(contamination=0.05, n_estimators=50, domain_weights={"battery": 2.0})
    scored = HybridAnomalyDetector(config).fit(z).score_dataframe(z, baselines)
    assert scored.index.equals(shuffled.index)
    ours = _as_walked(scored).rename(columns={"anomaly_score": "score"})
    np.testing.assert_allclose(ours[_SCORES].to_numpy(float), walked.scores[_SCORES].to_numpy(float), rtol=1e-6)
    flagged = walked.scores["is_anomaly"].to_numpy()
    assert ours["top_metric"][flagged].tolist() == walked.scores["top_metric"][flagged].tolist()
    assert ours["contributions"][flagged].tolist() == [json.loads(text) for text in walked.scores["contributions"][flagged]]
