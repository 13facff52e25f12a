"""Exact medians and median absolute deviations of one column, for every group of one level.

A group's median is selected, not sorted: a guess from the mean, else a strided sample, brackets it, one pass keeps the values
inside the bracket, counting by steps narrows them down, and quickselect (Hoare 1961) finds it among the few that are left. The
bracket is checked against the counts, so the outcome is exact.
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
_STEPS, _FEW = 64, 24
_NEAR_MEAN = 0.3
"""Half the width of the first bracket around the mean, in mean deviations of the group before."""
_LEAST_RATIO, _MOST_RATIO = 0.6, 1.05
"""Median over mean absolute deviation of most distributions: .69 of an exponential, .85 of a normal, 1 of a uniform one."""


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
def _sampled_bracket(values: Floats, size: int, scratch: Floats) -> tuple[float, float]:
    """Between which values the median of values[:size] lies, most likely."""
    sample = _SMALL_SAMPLE if size < _LARGE_GROUP else _LARGE_SAMPLE
    # two standard deviations of the rank that the true median has in the sample: wider keeps more, narrower misses more
    reach = int(np.sqrt(sample)) + 1
    step = size // sample
    for i in range(sample):
        scratch[i] = values[i * step]
    high = _select(scratch, sample, sample // 2 + reach)
    return _select(scratch, sample // 2 + reach, sample // 2 - reach), high


@njit(nogil=True, cache=True, error_model="numpy")
def _keep(values: Floats, size: int, scratch: Floats, low: float, high: float) -> tuple[int, int]:
    """Copy what lies in the bracket; returns how many lie below it and how many in it."""
    below, kept = 0, 0
    for i in range(size):
        value = values[i]
        below += value < low
        scratch[kept] = value
        kept += (value >= low) & (value <= high)
    return below, kept


@njit(nogil=True, cache=True, error_model="numpy")
def _middle_of_bracket(values: Floats, size: int, rank: int, even: bool, low: float, high: float) -> float:
    """`_middle`, for values in a bracket: counted by equal steps of it, only those in the step of the median are selected from.

    The step of a value does not fall as the value rises, so counts say exactly which step holds which rank.
    """
    counts = np.empty(_STEPS, np.int64)
    while size > _FEW:
        scale = _STEPS / (high - low)
        if not 0 < scale < np.inf:
            break
        counts[:] = 0
        for i in range(size):
            counts[_step(values[i], low, scale)] += 1
        first, before = 0, 0
        while before + counts[first] <= rank - even:
            before += counts[first]
            first += 1
        last, upto = first, before + counts[first]
        while upto <= rank:
            last += 1
            upto += counts[last]
        if upto - before == size:
            break
        kept = 0
        for i in range(size):
            value = values[i]
            step = _step(value, low, scale)
            values[kept] = value
            kept += (step >= first) & (step <= last)
        size, rank = kept, rank - before
        low, high = low + first / scale, low + (last + 1) / scale
    return _middle(values, size, rank, even)


@njit(nogil=True, cache=True, error_model="numpy")
def _step(value: float, low: float, scale: float) -> int:
    place = (value - low) * scale
    place = place if place > 0.0 else 0.0
    return int(place if place < _STEPS - 1.0 else _STEPS - 1.0)


@njit(nogil=True, cache=True, error_model="numpy")
def median_near(values: Floats, size: int, scratch: Floats, low: float, high: float) -> float:
    """`median`, which is found sooner where it lies between `low` and `high`, and not many other values do."""
    if size == 0:
        return np.nan
    rank, even = size // 2, size % 2 == 0
    if size <= _SMALL_GROUP:
        scratch[:size] = values[:size]
        return _middle(scratch, size, rank, even)
    below, kept = _keep(values, size, scratch, low, high) if low < high else (0, 0)
    if rank - even < below or rank >= below + kept:
        low, high = _sampled_bracket(values, size, scratch)
        below, kept = _keep(values, size, scratch, low, high)
    if rank - even < below or rank >= below + kept:
        scratch[:size] = values[:size]
        return _middle(scratch, size, rank, even)
    return _middle_of_bracket(scratch, kept, rank - below, even, low, high)


@njit(nogil=True, cache=True, error_model="numpy")
def median(values: Floats, size: int, scratch: Floats) -> float:
    """Median of values[:size], which holds no NaN and is left as it was; NaN when size is 0. `scratch` is as long."""
    return median_near(values, size, scratch, np.inf, -np.inf)


@njit(nogil=True, cache=True, error_model="numpy")
def group_statistics(column: Floats, order: Codes, bounds: Ints, statistics: Floats, work: Floats, mad: bool = True) -> None:
    """Fill each group's median, median and mean absolute deviation from it (both unscaled) and count of finite values.

    Group g holds the rows order[bounds[g]:bounds[g + 1]] of `column`, or those rows themselves where `order` is empty.
    `statistics` has shape (groups, 4), NaN for a group without a value; `work` has shape (2, at least the largest group + 1).
    The median absolute deviation takes a third of the time; without `mad` it is left as it was.
    """
    direct = len(order) == 0
    gathered, scratch = work[0], work[1]
    reach = -np.inf
    for group in range(len(bounds) - 1):
        size, total = 0, 0.0
        for i in range(bounds[group], bounds[group + 1]):
            value = column[i] if direct else column[order[i]]
            gathered[size] = value
            size += int(np.isfinite(value))
            total += value if np.isfinite(value) else 0.0
        # a median lies near its mean, as groups of one level are spread alike; where not, nothing is lost but a pass
        mean = total / size
        middle = median_near(gathered, size, scratch, float(mean - reach), float(mean + reach))
        total = 0.0
        for i in range(size):
            gathered[i] = abs(gathered[i] - middle)
            total += gathered[i]
        spread = total / size
        statistics[group, 0] = middle
        if mad:
            statistics[group, 1] = median_near(gathered, size, scratch, _LEAST_RATIO * spread, _MOST_RATIO * spread)
        statistics[group, 2] = spread
        statistics[group, 3] = size
        reach = _NEAR_MEAN * spread


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


@njit(nogil=True, cache=True, error_model="numpy")
def gather_gaps(column: Floats, order: Codes, owner: Codes, middle: Floats, gaps: Floats) -> None:
    """Fill `gaps` with how far the rows `order` of `column` lie from the `middle` of their `owner`."""
    for i in range(len(order)):
        gaps[i] = column[order[i]] - middle[owner[i]]
