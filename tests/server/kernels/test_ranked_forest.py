"""The ranked forest against the walked one, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernels.forest import add_path_lengths
from server.kernels.ranked_forest import add_path_lengths_ranked, rank

Heaps = tuple[np.ndarray, np.ndarray, np.ndarray]


def some_heaps(seed: int, trees: int, depth: int, columns: int, *, ties: bool) -> Heaps:
    """Features, thresholds and leaf values of random trees; a padded node sends every row left, as do all below it."""
    chance, inner = np.random.default_rng(seed), 2**depth - 1
    feature = chance.integers(0, columns, (trees, inner)).astype(np.uint16)
    threshold = chance.normal(size=(trees, inner)).astype(np.float32)
    threshold = np.round(threshold, 1) if ties else threshold
    padded = chance.random((trees, inner)) < 0.2
    for position in range(1, inner):
        padded[:, position] |= padded[:, (position - 1) // 2]
    threshold[padded] = np.inf
    return feature, threshold, chance.normal(size=(trees, inner + 1))


def both(rows: np.ndarray, heaps: Heaps) -> tuple[np.ndarray, np.ndarray]:
    walked, ranked = np.zeros((2, len(rows)))
    add_path_lengths(rows, *heaps, walked)
    add_path_lengths_ranked(rows, rank(*heaps), ranked)
    return walked, ranked


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 8), st.integers(1, 9), st.integers(0, 5000), st.booleans())
def test_sums_are_those_of_the_walk_bit_for_bit(seed: int, trees: int, depth: int, columns: int, size: int, ties: bool) -> None:
    """For every number of trees, depth, columns and rows, values that equal thresholds and infinite ones included."""
    heaps = some_heaps(seed, trees, depth, columns, ties=ties)
    rows = np.round(np.random.default_rng(seed).normal(size=(size, columns)), 1 if ties else 6).astype(np.float32)
    special = np.repeat(np.array([[np.inf], [-np.inf], [heaps[1][0, 0]]], np.float32), columns, axis=1)
    walked, ranked = both(np.concatenate([rows, special]), heaps)
    np.testing.assert_array_equal(ranked, walked)


def test_more_thresholds_on_a_column_than_a_byte_tells_apart_need_groups() -> None:
    """Three hundred full trees on one column: no group holds many of them, and the sums are still the walk's."""
    heaps = some_heaps(5, 300, 8, 1, ties=False)
    ranked = rank(*heaps)
    assert len(ranked.narrow) > 50
    walked, by_rank = both(np.random.default_rng(1).normal(size=(3000, 1)).astype(np.float32), heaps)
    np.testing.assert_array_equal(by_rank, walked)


def test_trees_without_a_split_add_their_only_leaf() -> None:
    """Rows that no tree could split are given every tree's first leaf."""
    heaps = some_heaps(2, 4, 3, 2, ties=False)
    heaps[1][:] = np.inf
    _, ranked = both(np.zeros((5, 2), np.float32), heaps)
    assert ranked == pytest.approx(heaps[2][:, 0].sum())
