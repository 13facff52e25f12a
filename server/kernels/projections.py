"""Surprisals of rows under histograms of random projections."""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


@njit(nogil=True, cache=True, error_model="numpy")
def project_surprisals(values: Singles, projections: Floats, edges: Floats, surprisal: Floats, out: Floats) -> None:
    """Fill `out`, shape (rows, projections), with the surprisal of the bin that each projected row lies in.

    `projections` is of shape (projections, columns), `edges` (projections, bins + 1), `surprisal` (projections, bins). A bin
    holds its right edge; what lies outside counts to the bin at that end.
    """
    bins = surprisal.shape[1]
    for cut in range(len(projections)):
        used = np.flatnonzero(projections[cut])
        for row in range(len(values)):
            position = 0.0
            for column in used:
                position += projections[cut, column] * values[row, column]
            place = np.searchsorted(edges[cut, 1:bins], position)
            out[row, cut] = surprisal[cut, place]
