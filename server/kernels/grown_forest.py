"""An isolation forest grown as scikit-learn grows it, from the same random numbers to the same trees, without importing it.

Importing scikit-learn takes a second and a hundred mebibytes, and its estimator objects take as long again as the trees do.
What is drawn, and in which order, follows `sklearn.ensemble.IsolationForest` and its random splitter (BSD-3-Clause; Liu, Ting
and Zhou, ICDM 2008); a test holds every tree to those of the version that is installed.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from server.kernels.forest import PackedForest, TreeNodes, average_path_length, pack_trees

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]

_LARGEST_SEED = np.iinfo(np.int32).max
_LARGEST_DRAW = 2147483647
_SAME = np.float32(1e-7)
"""A column whose values lie no farther apart cannot be split."""
_SPARSE, _DENSE = 0.01, 0.99


def grow(rows: Singles, columns: npt.NDArray[np.uint16], *, trees: int, samples: int, seed: int) -> PackedForest:
    """The packed forest of so many trees, each of so many of the rows, shape (rows, columns drawn from); no value is missing.

    `columns[i]` is the feature that column i stands for: a feature that is given twice is drawn twice as often.
    """
    depth = int(np.ceil(np.log2(max(samples, 2))))
    lengths = np.array([average_path_length(size) for size in range(samples + 1)])
    chance = np.random.RandomState(seed)
    seeds = chance.randint(_LARGEST_SEED, size=trees)
    return pack_trees([_grown(rows, int(own), chance, samples, depth, lengths) for own in seeds], columns, depth, samples)


def _grown(rows: Singles, seed: int, chance: np.random.RandomState, samples: int, depth: int, lengths: Floats) -> TreeNodes:
    # a generator that is seeded anew draws what a new one would, and making one takes as long as a tree does
    chance.seed(seed)
    chance.seed(chance.randint(_LARGEST_SEED))
    splits = chance.randint(0, _LARGEST_DRAW)
    chance.seed(seed)
    chosen = np.sort(_drawn(chance, len(rows), samples))
    left, right, feature, size, level = np.empty((5, 2 * samples), np.int64)
    threshold = np.empty(2 * samples)
    nodes = grow_tree(np.ascontiguousarray(rows[chosen].T), depth, splits, (left, right, feature, size, level), threshold)
    path = level[:nodes] + 1.0 + lengths[size[:nodes]] - 1.0
    return TreeNodes(left[:nodes], right[:nodes], feature[:nodes], threshold[:nodes], size[:nodes], path)


def _drawn(chance: np.random.RandomState, rows: int, samples: int) -> Ints:
    """Distinct rows, drawn as `sklearn.utils.random.sample_without_replacement` draws them; their order says nothing."""
    share = samples / rows
    if _SPARSE < share < _DENSE:
        return chance.permutation(rows)[:samples]
    if share <= _SPARSE:
        drawn = np.empty(0, np.int64)
        while True:
            drawn = np.concatenate([drawn, chance.randint(rows, size=samples)])
            distinct, first = np.unique(drawn, return_index=True)
            if len(distinct) >= samples:
                return drawn[np.sort(first)[:samples]]
    reservoir = np.arange(samples)
    for row in range(samples, rows):
        place = chance.randint(0, row + 1)
        if place < samples:
            reservoir[place] = row
    return reservoir


@njit(nogil=True, cache=True)
def _draw(state: npt.NDArray[np.uint32]) -> int:
    """The next of a 32-bit xorshift generator's numbers (Marsaglia 2003), less its highest bit."""
    word = state[0] if state[0] else np.uint32(1)
    word ^= np.uint32(word << np.uint32(13))
    word ^= np.uint32(word >> np.uint32(17))
    word ^= np.uint32(word << np.uint32(5))
    state[0] = word
    return int(word & np.uint32(0x7FFFFFFF))


@njit(nogil=True, cache=True, error_model="numpy")
def grow_tree(values: Singles, depth: int, seed: int, nodes: tuple[Ints, Ints, Ints, Ints, Ints], threshold: Floats) -> int:
    """Grow one tree on `values` of shape (columns, samples); returns its number of nodes, parents before children.

    Fills left and right child (-1 at a leaf), column, number of samples and level of each node, and its threshold.
    """
    left, right, feature, size, level = nodes
    columns, samples = values.shape
    state = np.array([seed], np.uint32)
    order, features, constant = np.arange(samples), np.arange(columns), np.empty(columns, np.int64)
    stack = np.empty((depth + 2, 5), np.int64)
    stack[0] = np.array([0, samples, 0, -1, 0])
    held, made = 1, 0
    while held:
        held -= 1
        start, end, own, parent, known = stack[held, 0], stack[held, 1], stack[held, 2], stack[held, 3], stack[held, 4]
        middle, constants = end, known
        if own < depth and end - start >= 2:
            middle, constants, feature[made], threshold[made] = _split(
                values, order[start:end], features, constant, known, state
            )
            middle += start
        if parent >= 0:
            if left[parent] < 0:
                left[parent] = made
            else:
                right[parent] = made
        left[made], right[made], size[made], level[made] = -1, -1, end - start, own
        if middle < end:
            stack[held] = np.array([middle, end, own + 1, made, constants])
            stack[held + 1] = np.array([start, middle, own + 1, made, constants])
            held += 2
        else:
            feature[made], threshold[made] = 0, np.inf
        made += 1
    return made


@njit(nogil=True, cache=True, error_model="numpy")
def _split(
    values: Singles, order: Ints, features: Ints, constant: Ints, known: int, state: npt.NDArray[np.uint32]
) -> tuple[int, int, int, float]:
    """Split samples at a random threshold of a random column that is not constant among them.

    Returns how many are on the left (all, where no column can be split), how many columns are now known to be constant, the
    column and the threshold. `order` is reordered; columns below `known` are constant from an ancestor on.
    """
    before, found, drawn = len(features), 0, 0
    while before > known + found:
        place = drawn + _draw(state) % (before - found - drawn)
        if place < known:
            features[drawn], features[place] = features[place], features[drawn]
            drawn += 1
            continue
        place += found
        column = features[place]
        own = values[column]
        lowest, highest = own[order[0]], own[order[0]]
        for sample in order:
            lowest, highest = min(lowest, own[sample]), max(highest, own[sample])
        if highest <= np.float32(lowest + _SAME):
            features[place], features[known + found] = features[known + found], column
            found += 1
            continue
        before -= 1
        features[before], features[place] = features[place], features[before]
        low, high = np.float64(lowest), np.float64(highest)
        bound = (high - low) * np.float64(_draw(state)) / _LARGEST_DRAW + low
        if bound == high:
            bound = low
        features[:known] = constant[:known]
        constant[known : known + found] = features[known : known + found]
        return _part(own, order, bound), known + found, column, bound
    features[:known] = constant[:known]
    constant[known : known + found] = features[known : known + found]
    return len(order), known + found, 0, np.inf


@njit(nogil=True, cache=True, error_model="numpy")
def _part(values: Singles, order: Ints, bound: float) -> int:
    """Put the samples at or below the bound first; returns how many there are."""
    begin, end = 0, len(order)
    while begin < end:
        if values[order[begin]] <= bound:
            begin += 1
        else:
            end -= 1
            order[begin], order[end] = order[end], order[begin]
    return begin
