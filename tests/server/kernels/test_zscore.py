"""Robust z-scores against a plain numpy reference."""

import numpy as np

from server.kernels.zscore import fill_z


def test_z_is_the_gap_to_what_is_expected_over_the_scale() -> None:
    """Each row has its own group's centre and scale and its own hour's deviation; a missing feature stays missing."""
    chance = np.random.default_rng(8)
    features, centre, scale = chance.normal(size=(5, 400)), chance.normal(size=(9, 5)), chance.uniform(0.1, 3, (9, 5))
    deviation = chance.normal(size=(24, 5))
    features[chance.random(features.shape) < 0.1] = np.nan
    segment, cell = chance.integers(0, 9, 400).astype(np.int32), chance.integers(0, 24, 400).astype(np.int32)
    z = np.empty((400, 5), np.float32)
    fill_z(features, segment, centre, scale, deviation, cell, z)
    expected = (features.T - centre[segment] - deviation[cell]) / scale[segment]
    np.testing.assert_allclose(z, expected.astype(np.float32), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(features.T))
