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


@njit(nogil=True, cache=True, error_model="numpy")
def finite_variances(z: Singles, known: npt.NDArray[np.int64], variance: npt.NDArray[np.float64]) -> None:
    """Fill how many values of each column of `z`, shape (rows, columns), are finite, and its variance with 0 for the others."""
    rows, columns = z.shape
    mean = np.zeros(columns)
    known[:] = 0
    variance[:] = 0.0
    for row in range(rows):
        for column in range(columns):
            finite = np.isfinite(z[row, column])
            known[column] += finite
            mean[column] += z[row, column] if finite else 0.0
    for column in range(columns):
        mean[column] /= rows
    for row in range(rows):
        for column in range(columns):
            gap = (z[row, column] if np.isfinite(z[row, column]) else 0.0) - mean[column]
            variance[column] += gap * gap
    for column in range(columns):
        variance[column] /= rows
