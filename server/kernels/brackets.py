"""Medians of groups whose rows lie on many machines: exact, with a few per cent of the values ever moved.

The idea is that of `server.kernels.medians`, and of Floyd and Rivest (1975): a sample brackets the median, one pass counts what
lies below the bracket and keeps what lies inside, and the median is found among those few by its rank. Counts say whether the
bracket held; if not, it is taken wider, so the outcome does not depend on the sample.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.int32]

_LEAST_SAMPLE = 64
_FEWEST_TO_JUDGE = 16
_REACH = 2.0
"""Half the bracket in roots of the sample's size: four standard deviations of the true median's rank, missed once in 16,000."""


def shares(rows: Ints) -> Floats:
    """Which share of a group of so many rows to sample: n^(2/3) of n rows, at least 64."""
    wanted = np.maximum(np.maximum(rows, 1.0) ** (2 / 3), _LEAST_SAMPLE)
    return np.minimum(wanted / np.maximum(rows, 1), 1.0)


@njit(nogil=True, cache=True, error_model="numpy")
def sample(column: Floats, codes: Codes, share: Floats, salt: int) -> tuple[Codes, Floats]:
    """Groups and values of a sample of the finite values: rows are drawn by a hash of their place (splitmix64) and the salt."""
    group, value = np.empty(len(column), np.int32), np.empty(len(column), np.float64)
    kept = 0
    for row in range(len(column)):
        code = codes[row]
        if code >= 0 and np.isfinite(column[row]):
            mixed = np.uint64(salt) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(row)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            if np.float64((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) < share[code] * 9007199254740992.0:
                group[kept], value[kept] = code, column[row]
                kept += 1
    return group[:kept].copy(), value[:kept].copy()


def bracket(group: Codes, value: Floats, groups: int) -> tuple[Floats, Floats]:
    """Between which values each group's median lies, by a sample; everything where there are too few to say."""
    order = np.lexsort((value, group))
    value, size = value[order], np.bincount(group, minlength=groups)
    start = np.cumsum(size) - size
    reach = (_REACH * np.sqrt(size)).astype(np.int64) + 1
    low, high = size // 2 - reach, size // 2 + reach
    known = (size >= _FEWEST_TO_JUDGE) & (low >= 0) & (high < size)
    place = np.where(known, start, 0)
    padded = np.append(value, np.nan)
    lowest = np.where(known, padded[place + np.where(known, low, 0)], -np.inf)
    highest = np.where(known, padded[place + np.where(known, high, 0)], np.inf)
    return lowest, highest


@njit(nogil=True, cache=True, error_model="numpy")
def inside(column: Floats, codes: Codes, low: Floats, high: Floats, centre: Floats) -> tuple[Ints, Ints, Floats, Codes, Floats]:
    """Of each group how many finite values there are, how many lie below its bracket, and their sum; then those inside it.

    With a `centre` for each group (else it is empty), distances from it take the place of the values.
    """
    groups = len(low)
    count, below, total = np.zeros(groups, np.int64), np.zeros(groups, np.int64), np.zeros(groups, np.float64)
    group, value = np.empty(len(column), np.int32), np.empty(len(column), np.float64)
    kept = 0
    for row in range(len(column)):
        code, each = codes[row], column[row]
        if code < 0 or not np.isfinite(each):
            continue
        if len(centre):
            each = abs(each - centre[code])
        count[code] += 1
        total[code] += each
        if each < low[code]:
            below[code] += 1
        elif each <= high[code]:
            group[kept], value[kept] = code, each
            kept += 1
    return count, below, total, group[:kept].copy(), value[:kept].copy()


def median_inside(count: Ints, below: Ints, group: Codes, value: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Each group's median from what lies inside its bracket (NaN for a group without a value), and where the bracket missed."""
    order = np.lexsort((value, group))
    value, size = np.append(value[order], np.nan), np.bincount(group, minlength=len(count))
    start = np.cumsum(size) - size
    upper, even = count // 2 - below, count % 2 == 0
    lower = upper - even
    missed = (count > 0) & ((lower < 0) | (upper >= size))
    found = (count > 0) & ~missed
    last = len(value) - 1
    high = value[np.where(found, start + upper, last)]
    low = value[np.where(found, start + lower, last)]
    return np.where(even, 0.5 * (low + high), high), missed
