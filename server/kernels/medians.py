"""Exact medians and median absolute deviations of one column, for every group of one level.

A group's median is selected, not sorted: a strided sample brackets it, one pass keeps the values inside the bracket, and
quickselect (Hoare 1961) finds it among those few. The bracket is checked against the counts, so the outcome is exact.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.int32]

_SMALL_GROUP, _LARGE_GROUP = 192, 2048
_SMALL_SAMPLE, _LARGE_SAMPLE = 47, 255


@njit(nogil=True, cache=True, error_model="numpy")
def _select(values: Floats, size: int, rank: int) -> float:
    """The value of that rank among values[:size], which is reordered so that no later value is smaller."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) >> 1
        a, b, c = values[low], values[middle], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if rank <= right:
            high = right
        elif rank >= left:
            low = left
        else:
            break
    return values[rank]


@njit(nogil=True, cache=True, error_model="numpy")
def _middle(values: Floats, size: int, rank: int, even: bool) -> float:
    """Median of values[:size] when `rank` is that of its upper middle value and `even` says whether it has two."""
    upper = _select(values, size, rank)
    if not even:
        return upper
    lower = values[0]
    for i in range(1, rank):
        lower = max(lower, values[i])
    return 0.5 * (lower + upper)


@njit(nogil=True, cache=True, error_model="numpy")
def median(values: Floats, size: int, scratch: Floats) -> float:
    """Median of values[:size], which holds no NaN and is left as it was; NaN when size is 0. `scratch` is as long."""
    if size == 0:
        return np.nan
    rank, even = size // 2, size % 2 == 0
    low, high = -np.inf, np.inf
    if size > _SMALL_GROUP:
        sample = _SMALL_SAMPLE if size < _LARGE_GROUP else _LARGE_SAMPLE
        # two standard deviations of the rank that the true median has in the sample: wider keeps more, narrower misses more
        reach = int(np.sqrt(sample)) + 1
        step = size // sample
        for i in range(sample):
            scratch[i] = values[i * step]
        high = _select(scratch, sample, sample // 2 + reach)
        low = _select(scratch, sample // 2 + reach, sample // 2 - reach)
    below, kept = 0, 0
    for i in range(size):
        value = values[i]
        below += value < low
        scratch[kept] = value
        kept += (value >= low) & (value <= high)
    if rank - even < below or rank >= below + kept:
        scratch[:size] = values[:size]
        return _middle(scratch, size, rank, even)
    return _middle(scratch, kept, rank - below, even)


@njit(nogil=True, cache=True, error_model="numpy")
def group_statistics(column: Floats, order: Codes, bounds: Ints, statistics: Floats, work: Floats) -> None:
    """Fill each group's median, median and mean absolute deviation from it (both unscaled) and count of finite values.

    Group g holds the rows order[bounds[g]:bounds[g + 1]] of `column`, or those rows themselves where `order` is empty.
    `statistics` has shape (groups, 4), NaN for a group without a value; `work` has shape (2, at least the largest group + 1).
    """
    direct = len(order) == 0
    gathered, scratch = work[0], work[1]
    for group in range(len(bounds) - 1):
        size = 0
        for i in range(bounds[group], bounds[group + 1]):
            value = column[i] if direct else column[order[i]]
            gathered[size] = value
            size += int(np.isfinite(value))
        middle = median(gathered, size, scratch)
        total = 0.0
        for i in range(size):
            gathered[i] = abs(gathered[i] - middle)
            total += gathered[i]
        statistics[group, 0] = middle
        statistics[group, 1] = median(gathered, size, scratch)
        statistics[group, 2] = total / size
        statistics[group, 3] = size


@njit(nogil=True, cache=True, error_model="numpy")
def rows_by_group(codes: Codes, groups: int) -> tuple[Codes, Ints]:
    """Rows sorted by group code, stably, and where each group's begin; rows with a negative code are left out."""
    bounds = np.zeros(groups + 1, np.int64)
    for code in codes:
        if code >= 0:
            bounds[code + 1] += 1
    for group in range(groups):
        bounds[group + 1] += bounds[group]
    order = np.empty(bounds[groups], np.int32)
    nexts = bounds[:groups].copy()
    for row in range(len(codes)):
        if codes[row] >= 0:
            order[nexts[codes[row]]] = row
            nexts[codes[row]] += 1
    return order, bounds
