"""Robust z-scores of a block: features less what is expected, over the robust scale."""

import numpy as np
import numpy.typing as npt
from numba import njit


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

    Row r expects centre[segment[r]] + deviation[cell[r]] with spread scale[segment[r]].
    """
    for row in range(features.shape[1]):
        group, hour = segment[row], cell[row]
        for feature in range(features.shape[0]):
            gap = features[feature, row] - deviation[hour, feature] - centre[group, feature]
            z[row, feature] = gap / scale[group, feature]
