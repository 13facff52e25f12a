"""Surprisal by a tail against numpy's interpolation."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernels.tail import GRID, fill_surprisal


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2]), st.floats(1e-6, 10))
def test_surprisal_is_interpolated_and_exponential_beyond(seed: int, decimals: int, excess: float) -> None:
    """As `numpy.interp` plus the excess over the last quantile, with ties among the quantiles too."""
    chance = np.random.default_rng(seed)
    quantiles = np.sort(chance.normal(size=len(GRID)).round(decimals))
    abnormality = np.concatenate([chance.normal(size=300) * 3, quantiles[::7], [-1e9, 1e9]])
    found = np.empty(len(abnormality))
    fill_surprisal(abnormality, quantiles, excess, found)
    expected = np.interp(abnormality, quantiles, GRID) + np.maximum(abnormality - quantiles[-1], 0) / excess
    np.testing.assert_array_equal(found, expected)


def test_surprisal_never_falls_as_abnormality_rises() -> None:
    """Strictly rising beyond the last quantile."""
    quantiles = np.repeat(np.arange(64.0), 8)
    abnormality = np.linspace(-5, 90, 2000)
    found = np.empty(2000)
    fill_surprisal(abnormality, quantiles, 2.0, found)
    assert (np.diff(found) >= 0).all()
    assert (np.diff(found[abnormality > 63]) > 0).all()
