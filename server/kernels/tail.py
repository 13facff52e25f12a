"""Surprisal of a score by the tail of the scores that it is compared with."""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]

TAIL_FROM = 0.9
GRID = -np.log1p(-np.linspace(0.0, TAIL_FROM, 512))
"""Surprisal in nats at evenly spaced quantiles up to the one where the tail begins."""


@njit(nogil=True, cache=True, error_model="numpy")
def surprisal(abnormality: float, quantiles: Floats, excess: float) -> float:
    """Interpolated between the quantiles that `GRID` is for, and rising by 1 / excess beyond the last of them."""
    last = len(quantiles) - 1
    if abnormality >= quantiles[last]:
        return GRID[last] + (abnormality - quantiles[last]) / excess
    if not abnormality >= quantiles[0]:
        return GRID[0]
    # the last quantile at or below it: of equal quantiles the highest counts
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) >> 1
        if quantiles[middle] <= abnormality:
            low = middle
        else:
            high = middle
    slope = (GRID[high] - GRID[low]) / (quantiles[high] - quantiles[low])
    return slope * (abnormality - quantiles[low]) + GRID[low]


@njit(nogil=True, cache=True, error_model="numpy")
def fill_surprisal(abnormality: Floats, quantiles: Floats, excess: float, out: Floats) -> None:
    """Fill `out` with the surprisal of each abnormality."""
    for row in range(len(abnormality)):
        out[row] = surprisal(abnormality[row], quantiles, excess)
