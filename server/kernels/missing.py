"""Missing z-scores: some columns of a design matrix, with a column's usual value where a row has none."""

import numpy as np
import numpy.typing as npt
from numba import njit

Singles = npt.NDArray[np.float32]


@njit(nogil=True, cache=True, error_model="numpy")
def fill_missing(z: Singles, columns: npt.NDArray[np.int64], usual: Singles, filled: Singles) -> None:
    """Fill `filled`, of shape (rows, chosen columns), from `z` of shape (rows, columns): `usual` where a value is NaN."""
    for row in range(len(z)):
        for i in range(len(columns)):
            value = z[row, columns[i]]
            filled[row, i] = usual[i] if np.isnan(value) else value
