"""What is known of columns in which values are missing: numpy's answers are the reference."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.kernels.missing import finite_variances

_CELLS = st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([np.nan, np.inf, -np.inf]))


@given(arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=_CELLS))
def test_finite_values_are_counted_and_their_variance_is_numpys(z: np.ndarray) -> None:
    """What is not finite counts as 0, as a filled column would have it."""
    known, variance = np.empty(z.shape[1], np.int64), np.empty(z.shape[1])
    finite_variances(z, known, variance)
    np.testing.assert_array_equal(known, np.isfinite(z).sum(axis=0))
    wanted = np.where(np.isfinite(z), z, 0).astype(np.float64).var(axis=0)
    np.testing.assert_allclose(variance, wanted, rtol=1e-9, atol=1e-9)
