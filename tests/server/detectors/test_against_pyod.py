"""Detectors that keep what PyOD fitted and look it up themselves: the same figures as PyOD's."""

import numpy as np
import pytest
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from pyod.models.loda import LODA

from server.detectors.ecod import surprisals
from server.detectors.hbos import rarities
from server.detectors.loda import column_statistics
from server.kernels.projections import project_surprisals


@pytest.fixture(scope="module")
def values() -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit on and others, some far outside; with ties, as counts have."""
    chance = np.random.default_rng(8)
    fitted, others = chance.standard_t(4, (500, 9)), 3 * chance.standard_t(3, (60, 9))
    return tuple(np.round(rows, 1).astype(np.float32) for rows in (fitted, others))  # type: ignore[return-value]


def test_ecod_scores_each_row_as_pyod_does_alone(values) -> None:
    """There, every call joins the rows to the fitted ones; one row at a time is what does not depend on the others."""
    fitted, others = values
    model = ECOD().fit(fitted)
    theirs = [model.decision_function(row[None])[0] for row in others]
    np.testing.assert_allclose(surprisals(np.sort(fitted, axis=0), others).sum(axis=1), theirs, rtol=1e-12)


def test_hbos_looks_up_pyods_histograms(values) -> None:
    """Inside, on edges, and outside by less and by more than half a bin."""
    fitted, others = values
    model = HBOS(n_bins=32).fit(fitted)
    rows = np.concatenate([fitted, others, model.bin_edges_[[0, 5, -1]].astype(np.float32)])
    ours = rarities(model.bin_edges_, -np.log2(model.hist_ + model.alpha), rows).sum(axis=1)
    np.testing.assert_allclose(ours, model.decision_function(rows), rtol=1e-12)


def test_loda_looks_up_pyods_histograms(values) -> None:
    """With the bins that the values are in: PyOD's own lookup is one bin off, which its limits less the first one mend."""
    fitted, others = values
    model = LODA(n_bins=32, random_state=4).fit(fitted)
    ours = np.empty((len(others), 100))
    project_surprisals(others, model.projections_, model.limits_, -np.log(model.histograms_), ours)
    model.limits_ = model.limits_[:, 1:]
    np.testing.assert_allclose(ours.mean(axis=1), 100 * model.decision_function(others), rtol=1e-12)


def test_lodas_attribution_is_welchs_t() -> None:
    """Against scipy's, for a column that some projections use."""
    from scipy.stats import ttest_ind  # noqa: PLC0415 - only here

    chance = np.random.default_rng(2)
    found, used = chance.normal(size=(5, 40)), chance.random((40, 3)) < 0.4
    ours = column_statistics(found, used)
    for column in range(3):
        theirs = ttest_ind(found[:, used[:, column]], found[:, ~used[:, column]], axis=1, equal_var=False)
        np.testing.assert_allclose(ours[:, column], theirs.statistic, rtol=1e-9)
