"""The values that most detectors work on."""

from dataclasses import replace

import numpy as np
import pytest

from server.detectors import isolation_forest
from server.detectors.conformance import sample_matrix
from server.detectors.filled import evenly_spaced
from server.detectors.hybrid import HybridDetector
from server.detectors.isolation_forest import IsolationForestDetector
from server.domain.baseline import Statistic
from server.domain.settings import DetectorSettings


def test_a_column_that_none_of_the_chosen_rows_knows_is_filled_with_what_is_typical(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forest is grown on evenly spaced rows: a column may be known in the others only, and is no reason to fail."""
    matrix = sample_matrix()
    monkeypatch.setattr(isolation_forest, "_FIT_ROWS", 60)
    chosen = evenly_spaced(np.flatnonzero(matrix.reference), 60)
    z = matrix.z.copy()
    z[chosen, 0] = np.nan
    scorer = IsolationForestDetector().fit(replace(matrix, z=z), DetectorSettings(n_estimators=5))
    assert scorer.filled.medians[0] == 0
    assert np.isfinite(scorer.score(matrix)).all()


def test_evenly_spaced_rows_are_distinct_and_go_from_the_first_to_the_last() -> None:
    """All of them where there are few."""
    rows = np.arange(100, 200)
    assert evenly_spaced(rows, 4).tolist() == [100, 133, 166, 199]
    assert evenly_spaced(rows, 1000).tolist() == rows.tolist()


def test_a_fleet_whose_levels_never_vary_is_scored_by_what_does() -> None:
    """The hybrid's forest sees levels; where none is usable it sees the other statistics, and the detector works."""
    matrix = sample_matrix()
    z = matrix.z.copy()
    z[:, [at for at, column in enumerate(matrix.columns) if column.statistic is Statistic.MEAN]] = 0.0
    scorer = HybridDetector().fit(replace(matrix, z=z), DetectorSettings(n_estimators=5))
    assert np.isfinite(scorer.score(matrix)).all()
