"""The conformance suite of detectors: whoever writes one runs `check_detector` over it in a test.

    def test_my_detector_conforms():
        check_detector(MyDetector())

Each check raises `AssertionError` saying which promise of `server.detectors.base` was broken.
"""

# ruff: noqa: S101 - a conformance suite speaks in assertions

import io
import json
from dataclasses import replace

import numpy as np

from server.detectors.base import DesignColumn, DesignMatrix, Detector, Scorer, ScorerState, take_rows
from server.domain.baseline import Level, Statistic
from server.domain.settings import DetectorSettings
from server.domain.telemetry import Metric
from server.errors import InvalidInput, NotEnoughData

PLANTED = 311
"""Row of `sample_matrix` in which one metric is far out."""
_DEVICES, _HOURS, _MISSING = 6, 100, 0.02
_PLANTED_METRIC = "errors"
_HOUR = 3_600_000_000
_METRICS = (
    Metric(name="level", domain="battery"),
    Metric(name="bytes", domain="usage"),
    Metric(name="errors", domain="system"),
)
_SETTINGS = DetectorSettings(n_estimators=25)


def check_detector(detector: Detector, *, adds_up: bool = False) -> Scorer:
    """The detector fitted to a sample, if it and its scorer keep every promise.

    `adds_up` says that the credits of a row sum to its score, up to a constant and the sign.
    """
    matrix = sample_matrix()
    assert detector.name.strip(), "a detector has a name"
    scorer = detector.fit(matrix, _SETTINGS)
    _check_scores(scorer, matrix)
    _check_explanations(scorer, matrix, adds_up=adds_up)
    _check_state(detector, scorer, matrix)
    _check_fitting(detector, scorer, matrix)
    _check_refusals(detector, matrix)
    return scorer


def sample_matrix(seed: int = 3) -> DesignMatrix:
    """Heavy-tailed z-scores of six devices, some missing, one row in nine not to be fitted on, and one planted anomaly."""
    chance = np.random.default_rng(seed)
    columns = tuple(DesignColumn(metric, statistic, Level.DEVICE) for statistic in Statistic for metric in _METRICS)
    columns += tuple(DesignColumn(metric, Statistic.MEAN, Level.COHORT) for metric in _METRICS)
    rows = _DEVICES * _HOURS
    z = chance.standard_t(4, (rows, len(columns))).astype(np.float32)
    z[chance.random(z.shape) < _MISSING] = np.nan
    for place, column in enumerate(columns):
        if column.metric.name == _PLANTED_METRIC:
            z[PLANTED, place] = 40.0
    device = np.repeat(np.arange(_DEVICES, dtype=np.int32), _HOURS)
    time = np.tile(np.arange(_HOURS) * _HOUR, _DEVICES)
    bounds = np.arange(0, rows + 1, _HOURS)
    return DesignMatrix(columns, z, bounds, time, device, np.zeros(rows, np.int32), np.arange(rows) % 9 != 0)


def _check_scores(scorer: Scorer, matrix: DesignMatrix) -> None:
    before = matrix.z.copy()
    scores = scorer.score(matrix)
    assert scores.shape == (len(matrix.z),), "one score a row"
    assert np.isfinite(scores).all(), "scores are finite, with missing features too"
    assert scores[PLANTED] <= np.quantile(scores, 0.02), "lower is more abnormal"
    assert np.array_equal(scores, scorer.score(matrix)), "scoring is pure: the same twice"
    assert np.array_equal(before, matrix.z, equal_nan=True), "scoring is pure: it leaves the matrix as it was"
    for row in (0, 17, PLANTED):
        assert scorer.score(take_rows(matrix, np.array([row])))[0] == scores[row], "a row scores the same alone"
    unknown = replace(matrix, z=np.full_like(matrix.z, np.nan))
    assert np.isfinite(scorer.score(unknown)).all(), "a row of which nothing is known has a score"


def _check_explanations(scorer: Scorer, matrix: DesignMatrix, *, adds_up: bool) -> None:
    rows = np.array([PLANTED, 5, 99])
    credit = scorer.explain(matrix, rows)
    assert credit.shape == (3, len(matrix.columns)), "one credit a row and column"
    assert np.isfinite(credit).all(), "credits are finite"
    assert credit[0].sum() > 0, "what speaks for an anomaly outweighs what speaks against it"
    blamed = matrix.columns[int(credit[0].argmax())].metric.name
    assert blamed == _PLANTED_METRIC, f"the metric that was moved is named first, not {blamed}"
    alone = scorer.explain(take_rows(matrix, rows[1:2]), np.array([0]))
    assert np.allclose(alone[0], credit[1], rtol=1e-9, atol=1e-9), "a row is explained the same alone"
    if adds_up:
        excess = credit.sum(axis=1) + scorer.score(matrix)[rows]
        assert np.allclose(excess, excess[0], rtol=1e-9, atol=1e-9), "credits sum to what was scored"


def _check_state(detector: Detector, scorer: Scorer, matrix: DesignMatrix) -> None:
    state = scorer.state()
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **dict(state.arrays))
    file.seek(0)
    about = json.loads(json.dumps(dict(state.about)))
    with np.load(file, allow_pickle=False) as loaded:
        restored = detector.restore(ScorerState({name: loaded[name] for name in loaded.files}, about))
    rows = np.arange(len(matrix.z))
    assert np.array_equal(restored.score(matrix), scorer.score(matrix)), "a stored scorer scores the same, bit for bit"
    assert np.array_equal(restored.explain(matrix, rows), scorer.explain(matrix, rows)), "a stored scorer explains the same"


def _check_fitting(detector: Detector, scorer: Scorer, matrix: DesignMatrix) -> None:
    again = detector.fit(matrix, _SETTINGS).state()
    assert _same(again, scorer.state()), "the same rows and settings give the same scorer"
    spoilt = matrix.z.copy()
    spoilt[~matrix.reference] = 1000.0
    assert _same(detector.fit(replace(matrix, z=spoilt), _SETTINGS).state(), again), "only reference rows are fitted on"
    silenced = detector.fit(matrix, DetectorSettings(n_estimators=25, domain_weights={"usage": 0.0}))
    moved = matrix.z.copy()
    moved[:, [place for place, column in enumerate(matrix.columns) if column.metric.domain == "usage"]] = 9.0
    assert np.array_equal(silenced.score(replace(matrix, z=moved)), silenced.score(matrix)), "a silenced domain has no say"


def _check_refusals(detector: Detector, matrix: DesignMatrix) -> None:
    for spoilt, error in (
        (take_rows(matrix, np.arange(20)), NotEnoughData),
        (replace(matrix, z=np.zeros_like(matrix.z)), InvalidInput),
    ):
        try:
            detector.fit(spoilt, _SETTINGS)
        except error:
            continue
        raise AssertionError(f"{detector.name} was fitted where it owes {error.__name__}")


def _same(left: ScorerState, right: ScorerState) -> bool:
    arrays = left.arrays.keys() == right.arrays.keys() and left.about == right.about
    return arrays and all(np.array_equal(left.arrays[name], right.arrays[name]) for name in left.arrays)
