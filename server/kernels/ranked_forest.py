"""The packed forest for many rows: every node of a tree is asked of thousands of rows at once, in vector instructions.

Walking a row from node to node waits for memory at each step, and no instruction does it for many rows. Isolation trees have
few nodes (some dozens of at most 255), so it costs less to ask all of them. Rows become ranks among the forest's thresholds
first: eight bits tell a group of trees' thresholds apart, and a comparison of bytes does as many rows as a register holds
bytes. Lengths are added in the trees' order, so scores are those of the walk to the last bit.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]

MOST_NODES = 255
"""Inner nodes that a tree may have: its leaves, and each column's thresholds, are told apart by a byte."""
_ROWS_AT_ONCE = 2048


class RankedForest(NamedTuple):
    """A forest whose thresholds are ranks, its trees in groups of at most 255 thresholds a column."""

    cuts: Singles
    """Each column's thresholds, ascending, padded with infinity to a power of two; shape (columns, cuts)."""
    narrow: Bytes
    """A rank among `cuts` as a rank among those of a group; shape (groups, columns, cuts)."""
    first_tree: Ints
    first_node: Ints
    node: tuple[npt.NDArray[np.uint16], Bytes, Bytes, Bytes]
    """Column, rank of the threshold in the group, and the leftmost leaf of the node and of its right child; parents first."""
    leaf: Floats
    """What a row adds that ends there; shape (trees, leaves)."""


def rank(feature: npt.NDArray[np.uint16], threshold: Singles, leaf: Floats) -> RankedForest:
    """The ranked form of a `PackedForest`'s arrays, of trees with at most `MOST_NODES` inner nodes."""
    tree, position = np.nonzero(threshold < np.inf)
    column, bound = feature[tree, position], threshold[tree, position]
    cuts, place = _cuts(column, bound)
    group_of = _groups(tree, column, len(feature), len(cuts))
    groups = int(group_of[-1]) + 1
    narrow, own = np.zeros((groups, *cuts.shape), np.uint8), np.zeros(len(tree), np.uint8)
    for group in range(groups):
        mine = group_of[tree] == group
        has = np.zeros(cuts.shape, bool)
        has[column[mine], place[mine]] = True
        narrow[group, :, 1:] = has.cumsum(axis=1)[:, :-1]
        own[mine] = narrow[group, column[mine], place[mine]]
    first_tree = np.searchsorted(group_of, np.arange(groups + 1)).astype(np.int64)
    first_node = np.searchsorted(tree, np.arange(len(feature) + 1)).astype(np.int64)
    here, beyond = _leftmost_leaf(position, leaf.shape[1]), _leftmost_leaf(2 * position + 2, leaf.shape[1])
    return RankedForest(cuts, narrow, first_tree, first_node, (column, own, here, beyond), np.ascontiguousarray(leaf))


def _cuts(column: npt.NDArray[np.uint16], bound: Singles) -> tuple[Singles, Ints]:
    """Distinct thresholds by column, and each node's place among those of its column."""
    distinct = [np.unique(bound[column == one]) for one in range(int(column.max(initial=0)) + 1)]
    size = 1 << max(len(values) for values in distinct).bit_length()
    cuts, place = np.full((len(distinct), size), np.inf, np.float32), np.zeros(len(column), np.int64)
    for one, values in enumerate(distinct):
        cuts[one, : len(values)] = values
        place[column == one] = np.searchsorted(values, bound[column == one])
    return cuts, place


def _groups(tree: Ints, column: npt.NDArray[np.uint16], trees: int, columns: int) -> Ints:
    """Group of each tree: runs of trees with no more than `MOST_NODES` nodes on any column."""
    nodes = np.zeros((trees, columns), np.int64)
    np.add.at(nodes, (tree, column), 1)
    group_of, held = np.zeros(trees, np.int64), np.zeros(columns, np.int64)
    for one in range(trees):
        held += nodes[one]
        group_of[one] = group_of[max(one - 1, 0)]
        if held.max() > MOST_NODES:
            group_of[one] += 1
            held = nodes[one].copy()
    return group_of


def _leftmost_leaf(position: Ints, leaves: int) -> Bytes:
    """The first leaf, counted from the left, below each position of the heap."""
    depth = np.frexp(position + 1)[1] - 1
    first = (position + 1 - (1 << depth)) << (leaves.bit_length() - 1 - depth)
    return first.astype(np.uint8)


@njit(nogil=True, cache=True, error_model="numpy")
def _rank_rows(values: Singles, cuts: Singles, ranks: npt.NDArray[np.uint32]) -> None:
    """How many of the cuts lie below each value. Halving for all values at a time waits for none of them."""
    ranks[:] = 0
    half = len(cuts) >> 1
    while half > 0:
        middle = cuts[half - 1 :]
        for i in range(len(values)):
            ranks[i] += np.uint32(half) * np.uint32(middle[ranks[i]] < values[i])
        half >>= 1


@njit(nogil=True, cache=True, error_model="numpy")
def _pass_node(before: Bytes, after: Bytes, ranks: Bytes, cut: int, here: int, beyond: int) -> None:
    """Send the rows that are at a node and above its threshold to its right child; to another array, as a store under a
    condition keeps the next node's load waiting."""
    for i in range(_ROWS_AT_ONCE):
        at = before[i]
        after[i] = beyond if (at == here) & (ranks[i] > cut) else at


@njit(nogil=True, cache=True, error_model="numpy")
def _rank_block(rows: Singles, start: int, cuts: Singles, values: Singles, wide: npt.NDArray[np.uint32]) -> int:
    """Rank the rows from `start` on among each column's cuts; returns how many rows there are."""
    size = min(_ROWS_AT_ONCE, len(rows) - start)
    for one in range(len(cuts)):
        for i in range(size):
            values[i] = rows[start + i, one]
        _rank_rows(values, cuts[one], wide[one])
    return size


@njit(nogil=True, cache=True, error_model="numpy")
def _narrow_ranks(narrow: Bytes, wide: npt.NDArray[np.uint32], ranks: Bytes) -> None:
    """Ranks among one group's thresholds."""
    for one in range(len(wide)):
        table, own, known = narrow[one], ranks[one], wide[one]
        for i in range(_ROWS_AT_ONCE):
            own[i] = table[known[i]]


@njit(nogil=True, cache=True, error_model="numpy")
def _leaves(
    tree: int, first_node: Ints, node: tuple[npt.NDArray[np.uint16], Bytes, Bytes, Bytes], ranks: Bytes, places: Bytes
) -> Bytes:
    """The leaf at which each row of the block ends in a tree; one of the two lines of `places`."""
    column, cut, here, beyond = node
    before, after = places[0], places[1]
    before[:] = 0
    for at in range(first_node[tree], first_node[tree + 1]):
        _pass_node(before, after, ranks[column[at]], cut[at], here[at], beyond[at])
        before, after = after, before
    return before


@njit(nogil=True, cache=True, error_model="numpy")
def add_path_lengths_ranked(rows: Singles, forest: RankedForest, total: Floats) -> None:
    """Add each row's path length in every tree to `total`, tree by tree."""
    cuts, narrow, first_tree, first_node, node, leaf = forest
    values, places = np.zeros(_ROWS_AT_ONCE, np.float32), np.zeros((2, _ROWS_AT_ONCE), np.uint8)
    wide, ranks = np.zeros((len(cuts), _ROWS_AT_ONCE), np.uint32), np.zeros((len(cuts), _ROWS_AT_ONCE), np.uint8)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        size = _rank_block(rows, start, cuts, values, wide)
        for group in range(len(narrow)):
            _narrow_ranks(narrow[group], wide, ranks)
            for tree in range(first_tree[group], first_tree[group + 1]):
                place = _leaves(tree, first_node, node, ranks, places)
                ends, sums = leaf[tree], total[start : start + size]
                for i in range(size):
                    sums[i] += ends[place[i]]


@njit(nogil=True, cache=True, error_model="numpy")
def add_leaf_lines_ranked(
    rows: Singles, forest: RankedForest, feature: npt.NDArray[np.uint16], path: Floats, credit: Floats
) -> None:
    """Add to `credit`, of shape (rows, columns), each row's line of its leaf's credits (`leaf_credits`), tree by tree."""
    cuts, narrow, first_tree, first_node, node, _ = forest
    values, places = np.zeros(_ROWS_AT_ONCE, np.float32), np.zeros((2, _ROWS_AT_ONCE), np.uint8)
    wide, ranks = np.zeros((len(cuts), _ROWS_AT_ONCE), np.uint32), np.zeros((len(cuts), _ROWS_AT_ONCE), np.uint8)
    lines = np.empty((feature.shape[1] + 1, credit.shape[1]))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        size = _rank_block(rows, start, cuts, values, wide)
        for group in range(len(narrow)):
            _narrow_ranks(narrow[group], wide, ranks)
            for tree in range(first_tree[group], first_tree[group + 1]):
                place = _leaves(tree, first_node, node, ranks, places)
                leaf_credits(feature[tree], path[tree], lines)
                for i in range(size):
                    own, line = credit[start + i], lines[place[i]]
                    for column in range(len(line)):
                        own[column] += line[column]


@njit(nogil=True, cache=True, error_model="numpy")
def leaf_credits(split: npt.NDArray[np.uint16], path: Floats, lines: Floats) -> None:
    """Fill `lines`, of shape (leaves, columns), with how much each column shortened the path to each leaf of one tree."""
    leaves = len(split) + 1
    lines[:] = 0.0
    for leaf in range(leaves):
        child = leaf + leaves - 1
        while child > 0:
            parent = (child - 1) >> 1
            lines[leaf, split[parent]] += path[parent] - path[child]
            child = parent
