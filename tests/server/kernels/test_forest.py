"""The packed forest against scikit-learn's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from server.kernels.forest import PackedForest, average_path_length, credit_leaves, credit_path_changes, pack


def fitted(rows: np.ndarray, drawn: np.ndarray, *, trees: int, samples: int, seed: int) -> tuple[IsolationForest, PackedForest]:
    forest = IsolationForest(n_estimators=trees, max_samples=min(samples, len(rows)), random_state=seed)
    forest.fit(rows[:, drawn])
    return forest, pack(forest, drawn.astype(np.uint16))


def some_rows(seed: int, size: int, width: int, *, ties: bool) -> np.ndarray:
    chance = np.random.default_rng(seed)
    rows = chance.standard_t(2, size=(size, width)).astype(np.float32)
    return np.round(rows) if ties else rows


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 5000),
    st.integers(1, 12),
    st.one_of(st.integers(1, 20), st.just(300)),
    st.integers(2, 256),
    st.booleans(),
    st.booleans(),
)
def test_scores_are_scikit_learns_bit_for_bit(
    seed: int, size: int, width: int, trees: int, samples: int, ties: bool, repeated: bool
) -> None:
    """For every number of rows, columns, trees and samples, with ties, and with columns drawn more often than others."""
    rows = some_rows(seed, size, width, ties=ties)
    drawn = np.repeat(np.arange(width), np.random.default_rng(seed).integers(1, 4, width)) if repeated else np.arange(width)
    forest, packed = fitted(rows, drawn, trees=trees, samples=samples, seed=seed)
    unseen = np.concatenate([rows[:700], 10 * some_rows(seed + 1, 37, width, ties=False)])
    np.testing.assert_array_equal(packed.score(unseen), forest.score_samples(unseen[:, drawn]))


def test_a_threshold_between_neighbouring_singles_stays_between_them() -> None:
    """Thresholds are doubles and rows singles: where rows differ in the last bit, rounding must not change a row's side."""
    neighbours = np.float32(1.0) + np.arange(5, dtype=np.float32) * np.finfo(np.float32).eps
    rows = np.random.default_rng(2).choice(neighbours, size=(500, 3)).astype(np.float32)
    forest, packed = fitted(rows, np.arange(3), trees=50, samples=64, seed=0)
    np.testing.assert_array_equal(packed.score(rows), forest.score_samples(rows))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 255, 256, 257, 520])
def test_a_rows_score_does_not_depend_on_its_neighbours(size: int) -> None:
    """Rows walked eight at a time, singly, or at the end of a chunk have the same score."""
    rows = some_rows(4, 600, 5, ties=False)
    _, packed = fitted(rows, np.arange(5), trees=40, samples=128, seed=1)
    together = packed.score(rows[:size])
    alone = np.array([packed.score(rows[i : i + 1])[0] for i in range(size)])
    np.testing.assert_array_equal(together, alone)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 2000), st.integers(1, 8), st.integers(1, 60), st.integers(2, 256))
def test_credits_add_up_to_the_shortened_path(seed: int, size: int, width: int, trees: int, samples: int) -> None:
    """A row's credits sum to the forest's expected mean path less the row's own, within 1e-9."""
    rows = some_rows(seed, size, width, ties=False)
    _, packed = fitted(rows, np.arange(width), trees=trees, samples=samples, seed=seed)
    chosen = rows[:100]
    own = -np.log2(-packed.score(chosen)) * packed.normaliser / trees
    np.testing.assert_allclose(packed.attribute(chosen).sum(axis=1), packed.path[:, 0].mean() - own, rtol=0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 1000), st.integers(1, 30), st.integers(2, 256))
def test_few_rows_and_many_rows_get_the_same_credits(seed: int, size: int, trees: int, samples: int) -> None:
    """The kernel that lays out leaves and the one that walks step by step agree."""
    rows = some_rows(seed, size, 6, ties=True)
    _, packed = fitted(rows, np.repeat(np.arange(6), 2), trees=trees, samples=samples, seed=seed)
    stepwise, by_leaf = np.zeros((2, *rows.shape))
    credit_path_changes(rows, packed.feature, packed.threshold, packed.path, stepwise)
    credit_leaves(rows, packed.feature, packed.threshold, packed.path, by_leaf)
    np.testing.assert_allclose(stepwise, by_leaf, rtol=0, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(700, 5000), st.integers(1, 30), st.integers(2, 300))
def test_rows_that_are_ranked_get_the_same_credits_to_the_last_bit(seed: int, size: int, trees: int, samples: int) -> None:
    """Whole blocks of rows, the rest of one, and trees too deep to rank."""
    rows = some_rows(seed, size, 6, ties=True)
    _, packed = fitted(rows, np.repeat(np.arange(6), 2), trees=trees, samples=samples, seed=seed)
    by_leaf = np.zeros(rows.shape)
    credit_leaves(rows, packed.feature, packed.threshold, packed.path, by_leaf)
    np.testing.assert_array_equal(packed.attribute(rows), by_leaf / trees)


def test_a_column_drawn_more_often_is_split_on_more_often() -> None:
    """How often a column is given is its weight in the draw."""
    rows = np.random.default_rng(0).normal(size=(2000, 4)).astype(np.float32)
    _, packed = fitted(rows, np.repeat(np.arange(4), [9, 1, 1, 1]), trees=100, samples=256, seed=0)
    splits = np.bincount(packed.feature[np.isfinite(packed.threshold)], minlength=4)
    assert splits[0] > 5 * splits[1:].max()


def test_a_metric_far_out_gets_the_credit() -> None:
    """The column that makes a row stand out has the largest credit."""
    rows = np.random.default_rng(0).normal(size=(2000, 5)).astype(np.float32)
    _, packed = fitted(rows, np.arange(5), trees=100, samples=256, seed=0)
    outlier = np.zeros((5, 5), np.float32)
    np.fill_diagonal(outlier, 9.0)
    assert packed.attribute(outlier).argmax(axis=1).tolist() == list(range(5))


def test_the_mean_path_of_small_samples_is_as_published() -> None:
    """c(1) = 0 and c(2) = 1, and c(256) is that of Liu et al."""
    assert (average_path_length(1), average_path_length(2)) == (0.0, 1.0)
    assert average_path_length(256) == pytest.approx(10.244770920116851)
