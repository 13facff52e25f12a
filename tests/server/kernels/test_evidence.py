"""Evidence of robust z-scores against a plain numpy reference."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernels.evidence import add_evidence

METRIC_OF = np.array([0, 1, 2, 0, 1, 2, -1])
BELOW, ABOVE = np.array([8.0, 16, 8, 8, 8, 8, 8]), np.array([8.0, 8, 16, 8, 8, 8, 8])
WEIGHT, POWER = np.array([1.0, 2.0, 0.5]), 1.5
Z = st.lists(st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.nan), st.just(0.0)), min_size=7, max_size=7)


def evidence(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total, credit = np.empty(len(z)), np.zeros(z.shape)
    add_evidence(z, METRIC_OF, (BELOW, ABOVE), WEIGHT, POWER, total, credit)
    return total, credit


def reference(z: np.ndarray) -> np.ndarray:
    wide = z.astype(np.float64)
    own = np.nan_to_num(np.log1p((wide / np.where(wide > 0, ABOVE, BELOW)) ** 2))
    by_metric = np.stack([WEIGHT[metric] * own[:, metric == METRIC_OF].max(axis=1) for metric in range(3)], axis=1)
    return (by_metric**POWER).sum(axis=1) ** (1 / POWER)


@settings(max_examples=200, deadline=None)
@given(st.lists(Z, min_size=1, max_size=20))
def test_evidence_is_the_p_norm_of_each_metrics_strongest_column(rows: list[list[float]]) -> None:
    """And its credits add up to it, on columns that are used and not missing."""
    z = np.array(rows, np.float32)
    total, credit = evidence(z)
    np.testing.assert_allclose(total, reference(z), rtol=1e-12)
    np.testing.assert_allclose(credit.sum(axis=1), total, rtol=1e-12)
    assert (credit >= 0).all()
    assert (credit[:, 6] == 0).all()
    assert (credit[np.isnan(z)] == 0).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(Z, min_size=1, max_size=5))
def test_totals_are_the_same_without_credits(rows: list[list[float]]) -> None:
    """An empty credit array means that nobody wants them."""
    z = np.array(rows, np.float32)
    total = np.empty(len(z))
    add_evidence(z, METRIC_OF, (BELOW, ABOVE), WEIGHT, POWER, total, np.empty((0, 0)))
    np.testing.assert_array_equal(total, evidence(z)[0])


def test_a_harmless_direction_counts_as_half_as_far() -> None:
    """Column 1 is twice as reluctant downwards as upwards."""
    z = np.zeros((3, 7), np.float32)
    z[:, 1] = 8.0, -8.0, -16.0
    total, _ = evidence(z)
    assert total[0] > total[1]
    assert total[0] == total[2]


def test_one_wild_value_does_not_drown_the_others() -> None:
    """A second metric out of place is heard beside one that is a million scales out."""
    z = np.zeros((2, 7), np.float32)
    z[:, 0] = 1e6
    z[1, 4] = 20
    total, credit = evidence(z)
    assert total[1] > total[0] + 0.5
    assert credit[1, 4] > 0.5
