"""Medians and deviations of groups: numpy's are the reference, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernels.medians import gather_gaps, group_statistics, median, rows_by_group

ANY_FLOAT = st.one_of(
    st.floats(-1e150, 1e150), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1.0]), st.integers(0, 3).map(float)
)


def statistics(column: np.ndarray, codes: np.ndarray, groups: int) -> np.ndarray:
    order, bounds = rows_by_group(codes.astype(np.int32), groups)
    made = np.full((groups, 4), np.nan)
    group_statistics(column, order, bounds, made, np.empty((2, len(column) + 1)))
    return made


def check(column: np.ndarray, codes: np.ndarray, groups: int) -> None:
    made = statistics(column, codes, groups)
    for group in range(groups):
        values = column[(codes == group) & np.isfinite(column)]
        assert made[group, 3] == len(values)
        if len(values) == 0:
            assert np.isnan(made[group, :3]).all()
            continue
        middle = np.median(values)
        assert made[group, 0] == middle
        assert made[group, 1] == np.median(np.abs(values - middle))
        np.testing.assert_allclose(made[group, 2], np.abs(values - middle).mean(), rtol=1e-10)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ANY_FLOAT, st.integers(-1, 4)), max_size=120))
def test_every_group_has_numpys_median_and_mad(rows: list[tuple[float, int]]) -> None:
    """NaN, infinities, ties, groups of one and groups of none included; rows of no group (-1) are in none."""
    column = np.array([value for value, _ in rows], np.float64)
    check(column, np.array([code for _, code in rows], np.int64), 5)


SHAPES = {
    "normal": lambda chance, n: chance.normal(size=n),
    "ties": lambda chance, n: chance.integers(0, 4, n).astype(float),
    "constant": lambda _, n: np.full(n, 7.5),
    "sorted": lambda _, n: np.arange(n, dtype=float),
    "reversed": lambda _, n: np.arange(n, 0, -1, dtype=float),
    # the strided sample sees one half of the values only: the bracket misses the median, and that must be noticed
    "periodic": lambda _, n: np.arange(n) % 2 * 100.0 + np.arange(n) / n,
    "two values": lambda _, n: (np.arange(n) < n // 2).astype(float),
    "heavy": lambda chance, n: chance.standard_cauchy(n),
    "organ pipe": lambda _, n: np.minimum(np.arange(n), n - np.arange(n)).astype(float),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 3, 191, 192, 193, 194, 2047, 2048, 2049, 20_001])
def test_large_groups_are_exact_whatever_their_order(shape: str, size: int) -> None:
    """Bracketing by a sample is a shortcut only: order, ties and size around its limits change nothing."""
    check(SHAPES[shape](np.random.default_rng(size), size), np.zeros(size, np.int64), 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(200, 6000), st.sampled_from([2, 47, 48, 255, 256]))
def test_a_sample_that_sees_the_wrong_values_does_no_harm(seed: int, size: int, stride: int) -> None:
    """Extreme values placed just where a strided sample looks leave the median exact."""
    chance = np.random.default_rng(seed)
    values = chance.normal(size=size)
    values[:: max(size // stride, 1)] = 1e9
    assert median(values, size, np.empty(size + 1)) == np.median(values)


def test_the_rows_are_left_as_they_were() -> None:
    """`median` reorders its scratch, not the values."""
    values = np.random.default_rng(1).normal(size=500)
    before = values.copy()
    median(values, 500, np.empty(501))
    np.testing.assert_array_equal(values, before)


def test_rows_in_place_and_rows_in_order_agree() -> None:
    """An empty order stands for rows that lie in group order already."""
    column = np.random.default_rng(2).normal(size=300)
    codes = np.repeat(np.arange(3), 100)
    made = np.full((3, 4), np.nan)
    group_statistics(column, np.empty(0, np.int32), np.array([0, 100, 200, 300]), made, np.empty((2, 301)))
    np.testing.assert_array_equal(made, statistics(column, codes, 3))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-1, 6), max_size=80))
def test_rows_are_sorted_by_group_stably(codes: list[int]) -> None:
    """As numpy's stable argsort, without the rows of no group."""
    array = np.array(codes, np.int32)
    order, bounds = rows_by_group(array, 7)
    kept = np.flatnonzero(array >= 0)
    np.testing.assert_array_equal(order, kept[np.argsort(array[kept], kind="stable")])
    np.testing.assert_array_equal(np.diff(bounds), np.bincount(array[kept], minlength=7))


def test_the_rest_is_the_same_without_the_median_absolute_deviation() -> None:
    """What is not asked for is left as it was."""
    column, codes = np.random.default_rng(3).normal(size=900), np.repeat(np.arange(3, dtype=np.int32), 300)
    order, bounds = rows_by_group(codes, 3)
    made = np.full((3, 4), np.nan)
    group_statistics(column, order, bounds, made, np.empty((2, 301)), mad=False)
    assert np.isnan(made[:, 1]).all()
    assert np.array_equal(made[:, [0, 2, 3]], statistics(column, codes, 3)[:, [0, 2, 3]])


def test_gaps_are_gathered_from_each_rows_own_middle() -> None:
    """In the order asked for; a missing value stays missing."""
    chance = np.random.default_rng(4)
    column, middle = chance.normal(size=50), chance.normal(size=3)
    column[7] = np.nan
    order, owner = chance.permutation(50)[:20].astype(np.int32), chance.integers(0, 3, 20).astype(np.int32)
    gaps = np.empty(20)
    gather_gaps(column, order, owner, middle, gaps)
    np.testing.assert_array_equal(gaps, column[order] - middle[owner])
