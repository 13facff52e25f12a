"""Scores, severities and what is said of flagged rows."""

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.detectors.stored import Trained
from server.domain.telemetry import Metric
from server.pipeline.baselines import RawFallback
from server.pipeline.features import KEYS, FeaturePlan
from server.pipeline.score import Scoring, score_telemetry, severity


def test_two_threads_score_the_same(fleet, baselines, trained) -> None:
    """To the last bit, in the same order."""
    assert fleet.score(trained, baselines, threads=2).equals(fleet.score(trained, baselines))


def test_a_fault_is_flagged_and_its_metric_named(fleet, baselines, trained) -> None:
    """Device 7's offline time rose in its last two days."""
    rows = fleet.score(trained, baselines).to_pandas()
    worst = rows[rows["is_anomaly"] & (rows["device"] == 7)].tail(20)
    assert len(worst) == 20
    assert (worst["top_metric"] == "offline").all()


def test_what_is_said_of_a_flagged_row_is_true(fleet, baselines, trained) -> None:
    """Value and typical value follow from the features and the baselines; shares sum to at most one, strongest first."""
    scored, frame = fleet.score(trained, baselines).to_pandas(), fleet.table()
    for row in np.flatnonzero(scored["is_anomaly"])[:30]:
        parts = json.loads(scored["contributions"][row])
        shares = [part["share"] for part in parts]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-6
        assert parts[0]["metric"] == scored["top_metric"][row]
        about = parts[0]
        feature = about["feature"].removesuffix("_vs_cohort")
        value = frame.column(feature)[row]
        shown = np.expm1(value) if feature == "bytes_mean" else value
        assert about["value"] == pytest.approx(shown, rel=1e-8)
        assert about["level"] in {"global", "cohort", "site", "device"}
        assert about["n"] >= baselines.min_rows


class EveryRow:
    """A scorer that finds every row abnormal, and every column equally at fault."""

    def score(self, matrix: Any) -> np.ndarray:
        return np.full(len(matrix.z), -1.0)

    def explain(self, matrix: Any, rows: np.ndarray) -> np.ndarray:
        return np.ones((len(rows), matrix.z.shape[1]))


def test_any_name_can_be_said_and_what_is_not_known_is_null() -> None:
    """Names are JSON text whatever signs they hold; a missing value, and what is typical without baselines, are null."""
    name = 'load %d 100 % %% "peak" \\ {0}'
    plan = FeaturePlan((Metric.model_validate({"name": name}),), timedelta(hours=12), timedelta(hours=12))
    keys = {key: np.zeros(2, bool if key == "reference" else np.int64) for key in KEYS}
    features = {feature.name: np.array([7.25, np.nan]) for feature in plan.features}
    scorer: Any = EveryRow()
    trained = Trained("x", scorer, -0.5, "", np.linspace(-0.4, -0.1, 1001), 2)
    block = pa.RecordBatch.from_pydict({**keys, **features})
    scored = next(score_telemetry([block], Scoring(trained, RawFallback("none", plan))))
    said = [json.loads(text)[0] for text in scored.column("contributions").to_pylist()]
    assert [part["value"] for part in said] == [7.25, None]
    assert {(part["metric"], part["typical"], part["level"], part["share"]) for part in said} == {(name, None, None, 1.0)}


def test_naming_every_row_changes_nothing_else(fleet, baselines, trained) -> None:
    """Every row has a top metric, flagged rows the same one."""
    named = fleet.score(trained, baselines, name_every_row=True)
    usual = fleet.score(trained, baselines)
    assert named.column("top_metric").null_count == 0
    assert named.drop_columns("top_metric").equals(usual.drop_columns("top_metric"))
    flagged = usual.column("is_anomaly")
    assert named.filter(flagged).equals(usual.filter(flagged))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1.0), min_size=1, max_size=30))
def test_severity_keeps_order_and_is_half_at_the_threshold(scores: list[float]) -> None:
    """0 at the reference median and above, 50 at the threshold, below 100 always."""
    trained = Trained("x", None, -0.6, "", np.linspace(-0.9, -0.1, 1001), 1)
    found = severity(np.sort(np.array(scores)), trained)
    assert (np.diff(found) <= 0).all()
    assert ((found >= 0) & (found < 100)).all()
    assert severity(np.array([-0.6]), trained)[0] == 50
