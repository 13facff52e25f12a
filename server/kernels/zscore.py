"""Robust z-scores of a block: features less what is expected, over the robust scale."""

import numpy as np
import numpy.typing as npt
from numba import njit

FARTHEST = 1e6
"""No z-score is farther from 0: beyond it there is nothing left to tell apart, and everything made of it stays finite."""


@njit(nogil=True, cache=True, error_model="numpy")
def fill_z(
    features: npt.NDArray[np.float64],
    segment: npt.NDArray[np.int32],
    centre: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    deviation: npt.NDArray[np.float64],
    cell: npt.NDArray[np.int32],
    z: npt.NDArray[np.float32],
) -> None:
    """Fill `z` of shape (rows, features) from `features` of shape (features, rows); a missing feature stays NaN.

    Row r expects centre[segment[r]] + deviation[cell[r]] with spread scale[segment[r]]; what is farther
    away than `FARTHEST` scales, or infinitely, is put that far.
    """
    for row in range(features.shape[1]):
        group, hour = segment[row], cell[row]
        for feature in range(features.shape[0]):
            gap = features[feature, row] - deviation[hour, feature] - centre[group, feature]
            scaled = gap / scale[group, feature]
            z[row, feature] = FARTHEST if scaled > FARTHEST else -FARTHEST if scaled < -FARTHEST else scaled
