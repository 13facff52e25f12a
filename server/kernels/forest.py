"""An isolation forest packed into complete binary heaps: the same scores as scikit-learn's, bit for bit, without it.

Liu, Ting and Zhou, "Isolation Forest", ICDM 2008. A tree over 256 samples is at most 8 deep, so it becomes a heap of 255 inner
nodes: position p goes on at 2p + 1, plus one if the row's feature is above the node's threshold. Shallow leaves are padded with
nodes that send every row left, so each row takes the same number of steps and eight rows can be walked at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from server.kernels.ranked_forest import (
    MOST_NODES,
    RankedForest,
    add_leaf_lines_ranked,
    add_path_lengths_ranked,
    leaf_credits,
    rank,
)

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]

_ROWS_AT_ONCE = 256
"""Rows that are walked through one tree before the next: they and the tree stay in the first-level cache."""

_MANY_ROWS = 64
_ROWS_TO_RANK = 700
"""From here on it costs less to ask every node of blocks of rows than to walk each row."""


@dataclass(frozen=True)
class PackedForest:
    """T trees of depth D: features and thresholds of 2**D - 1 inner nodes, and the expected path length at all 2**(D+1) - 1.

    `path[t, p]` is the mean path length of the training rows that pass position p, so a leaf's is what scikit-learn adds for it
    and the differences along a row's way add up exactly to the row's own path length less the root's.
    """

    feature: npt.NDArray[np.uint16]
    threshold: Singles
    path: Floats
    normaliser: float

    @property
    def depth(self) -> int:
        """Steps from the root to any leaf."""
        return int(self.path.shape[1] + 1).bit_length() - 2

    def score(self, rows: Singles) -> Floats:
        """Anomaly score of each row, in scikit-learn's sense: in [-1, 0), lower is more abnormal."""
        total = np.zeros(len(rows))
        if self._ranks(rows):
            add_path_lengths_ranked(rows, self._ranked, total)
        else:
            add_path_lengths(rows, self.feature, self.threshold, self.path[:, self.feature.shape[1] :], total)
        scores: Floats = -(2.0 ** (-total / self.normaliser))
        return scores

    def _ranks(self, rows: Singles) -> bool:
        return len(rows) >= _ROWS_TO_RANK and self.feature.shape[1] <= MOST_NODES

    @cached_property
    def _ranked(self) -> RankedForest:
        return rank(self.feature, self.threshold, self.path[:, self.feature.shape[1] :])

    def attribute(self, rows: Singles) -> Floats:
        """How much each feature shortened each row's mean path, in steps of a tree; shape (rows, features).

        Each step's change of the expected path length is credited to the feature that was split on, so a row's credits add
        up to the difference between the forest's expected path length and the row's own (path attribution after Saabas 2014).
        """
        credit = np.zeros((len(rows), rows.shape[1]))
        if self._ranks(rows):
            add_leaf_lines_ranked(rows, self._ranked, self.feature, self.path, credit)
        else:
            kernel = credit_leaves if len(rows) >= _MANY_ROWS else credit_path_changes
            kernel(rows, self.feature, self.threshold, self.path, credit)
        return credit / len(self.feature)


class TreeNodes(NamedTuple):
    """One tree by node, parents before children: children (-1 at a leaf), column, threshold, samples, and what a row adds."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    threshold: Floats
    samples: npt.NDArray[np.int64]
    length: Floats


def pack(forest: "IsolationForest", columns: npt.NDArray[np.uint16]) -> PackedForest:
    """The packed form of a fitted forest whose trees see every column.

    `columns[i]` is the feature that the forest's column i stands for: a feature that was given twice is drawn twice as often.
    """
    samples = int(forest.max_samples_)
    trees: list[TreeNodes] = []
    for index, estimator in enumerate(forest.estimators_):
        tree = estimator.tree_
        # the very sum that scikit-learn adds up for a row that ends there: another order would differ in the last bit
        mean = forest._average_path_length_per_tree[index]  # pyright: ignore[reportPrivateUsage]
        length = forest._decision_path_lengths[index] + mean - 1.0  # pyright: ignore[reportPrivateUsage]
        column = np.maximum(tree.feature, 0)
        trees.append(TreeNodes(tree.children_left, tree.children_right, column, tree.threshold, tree.n_node_samples, length))
    return pack_trees(trees, columns, int(np.ceil(np.log2(max(samples, 2)))), samples)


def pack_trees(trees: Sequence[TreeNodes], columns: npt.NDArray[np.uint16], depth: int, samples: int) -> PackedForest:
    """The packed form of trees no deeper than `depth`, each grown on so many samples; `columns` as for `pack`."""
    inner = 2**depth - 1
    feature = np.zeros((len(trees), inner), np.uint16)
    threshold = np.full((len(trees), inner), np.inf, np.float32)
    path = np.zeros((len(trees), 2 * inner + 1))
    for index, tree in enumerate(trees):
        place_nodes(
            tree.left,
            tree.right,
            columns[tree.column],
            _round_down(tree.threshold),
            _expected_paths(tree.left, tree.right, tree.samples, tree.length),
            (feature[index], threshold[index], path[index]),
        )
    return PackedForest(feature, threshold, path, len(trees) * average_path_length(samples))


def average_path_length(samples: int) -> float:
    """Mean path length of an unsuccessful search in a binary tree of so many samples (Liu et al. 2008, equation 1)."""
    if samples <= 2:
        return float(max(samples - 1, 0))
    return float(2.0 * (np.log(samples - 1.0) + np.euler_gamma) - 2.0 * (samples - 1.0) / samples)


def _round_down(threshold: Floats) -> Singles:
    """The largest single at or below each threshold: rows are singles, so `row > threshold` keeps its answer."""
    rounded = threshold.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > threshold, lower, rounded)


@njit(nogil=True, cache=True)
def _expected_paths(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], samples: npt.NDArray[np.int64], length: Floats
) -> Floats:
    """Mean path length of the training rows below each node; children always come after their parent."""
    expected = length.copy()
    for node in range(len(left) - 1, -1, -1):
        if left[node] >= 0:
            below = samples[left[node]] * expected[left[node]] + samples[right[node]] * expected[right[node]]
            expected[node] = below / samples[node]
    return expected


@njit(nogil=True, cache=True)
def place_nodes(
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    feature: npt.NDArray[np.uint16],
    threshold: Singles,
    expected: Floats,
    heap: tuple[npt.NDArray[np.uint16], Singles, Floats],
) -> None:
    """Write one tree into its heap; below a shallow leaf the leaf is repeated, so that every position below it holds it."""
    features, thresholds, paths = heap
    node_at = np.full(len(paths), -1, np.int64)
    node_at[0] = 0
    for position in range(len(paths)):
        node = node_at[position]
        paths[position] = expected[node]
        if position >= len(features):
            continue
        is_leaf = left[node] < 0
        if not is_leaf:
            features[position], thresholds[position] = feature[node], threshold[node]
        node_at[2 * position + 1] = node if is_leaf else left[node]
        node_at[2 * position + 2] = node if is_leaf else right[node]


@njit(nogil=True, cache=True, error_model="numpy")
def add_path_lengths_of_row(
    row: Singles, feature: npt.NDArray[np.uint16], threshold: Singles, leaf: Floats, total: float
) -> float:
    """`total` and one row's path length in every tree, added in the trees' order.

    All trees take a step before any takes the next: the steps of one level wait for nothing but memory.
    """
    depth = np.int64(np.log2(feature.shape[1] + 1) + 0.5)
    one, two, inner = np.uint64(1), np.uint64(2), np.uint64(feature.shape[1])
    splits, bounds = feature.reshape(-1), threshold.reshape(-1)
    position = np.zeros(len(feature), np.uint32)
    for _ in range(depth):
        start = np.uint64(0)
        for tree in range(len(feature)):
            p = np.uint64(position[tree])
            position[tree] = two * p + one + np.uint64(row[splits[start + p]] > bounds[start + p])
            start += inner
    for tree in range(len(feature)):
        total += leaf[tree, np.uint64(position[tree]) - inner]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def add_path_lengths(rows: Singles, feature: npt.NDArray[np.uint16], threshold: Singles, leaf: Floats, total: Floats) -> None:
    """Add each row's path length in every tree to `total`, tree by tree.

    Unsigned positions spare the compiler its check for negative indices; eight rows at once hide the wait for memory.
    """
    depth = np.int64(np.log2(feature.shape[1] + 1) + 0.5)
    one, two, first = np.uint64(1), np.uint64(2), np.uint64(feature.shape[1])
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        stop = min(len(rows), start + _ROWS_AT_ONCE)
        eights = start + (stop - start) // 8 * 8
        for tree in range(len(feature)):
            split, bound, ends = feature[tree], threshold[tree], leaf[tree]
            for at in range(start, eights, 8):
                i = np.uint64(at)
                r0, p0 = rows[i + np.uint64(0)], np.uint64(0)
                r1, p1 = rows[i + np.uint64(1)], np.uint64(0)
                r2, p2 = rows[i + np.uint64(2)], np.uint64(0)
                r3, p3 = rows[i + np.uint64(3)], np.uint64(0)
                r4, p4 = rows[i + np.uint64(4)], np.uint64(0)
                r5, p5 = rows[i + np.uint64(5)], np.uint64(0)
                r6, p6 = rows[i + np.uint64(6)], np.uint64(0)
                r7, p7 = rows[i + np.uint64(7)], np.uint64(0)
                for _ in range(depth):
                    p0 = two * p0 + one + np.uint64(r0[split[p0]] > bound[p0])
                    p1 = two * p1 + one + np.uint64(r1[split[p1]] > bound[p1])
                    p2 = two * p2 + one + np.uint64(r2[split[p2]] > bound[p2])
                    p3 = two * p3 + one + np.uint64(r3[split[p3]] > bound[p3])
                    p4 = two * p4 + one + np.uint64(r4[split[p4]] > bound[p4])
                    p5 = two * p5 + one + np.uint64(r5[split[p5]] > bound[p5])
                    p6 = two * p6 + one + np.uint64(r6[split[p6]] > bound[p6])
                    p7 = two * p7 + one + np.uint64(r7[split[p7]] > bound[p7])
                total[i + np.uint64(0)] += ends[p0 - first]
                total[i + np.uint64(1)] += ends[p1 - first]
                total[i + np.uint64(2)] += ends[p2 - first]
                total[i + np.uint64(3)] += ends[p3 - first]
                total[i + np.uint64(4)] += ends[p4 - first]
                total[i + np.uint64(5)] += ends[p5 - first]
                total[i + np.uint64(6)] += ends[p6 - first]
                total[i + np.uint64(7)] += ends[p7 - first]
        for at in range(eights, stop):
            total[at] = add_path_lengths_of_row(rows[at], feature, threshold, leaf, total[at])


@njit(nogil=True, cache=True, error_model="numpy")
def credit_path_changes(
    rows: Singles, feature: npt.NDArray[np.uint16], threshold: Singles, path: Floats, credit: Floats
) -> None:
    """Add to `credit` how much each feature shortened each row's path, summed over trees: step by step, for a few rows.

    All trees take a step before any takes the next, as in `add_path_lengths_of_row`.
    """
    depth = np.int64(np.log2(feature.shape[1] + 1) + 0.5)
    position = np.zeros(len(feature), np.int64)
    for at in range(len(rows)):
        row, own = rows[at], credit[at]
        position[:] = 0
        for _ in range(depth):
            for tree in range(len(feature)):
                p = position[tree]
                column = feature[tree, p]
                child = 2 * p + 1 + (row[column] > threshold[tree, p])
                own[column] += path[tree, p] - path[tree, child]
                position[tree] = child


@njit(nogil=True, cache=True, error_model="numpy")
def credit_leaves(rows: Singles, feature: npt.NDArray[np.uint16], threshold: Singles, path: Floats, credit: Floats) -> None:
    """The same for many rows: each tree's credits are summed up by leaf first, so a row adds a whole line of them at once."""
    depth = np.int64(np.log2(feature.shape[1] + 1) + 0.5)
    one, two, first = np.uint64(1), np.uint64(2), np.uint64(feature.shape[1])
    lines = np.empty((feature.shape[1] + 1, credit.shape[1]))
    for tree in range(len(feature)):
        split, bound = feature[tree], threshold[tree]
        leaf_credits(split, path[tree], lines)
        for at in range(len(rows)):
            row, p = rows[at], np.uint64(0)
            for _ in range(depth):
                p = two * p + one + np.uint64(row[split[p]] > bound[p])
            own, line = credit[at], lines[p - first]
            for column in range(len(line)):
                own[column] += line[column]
