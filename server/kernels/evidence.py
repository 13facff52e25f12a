"""How strongly each metric's robust z-scores speak against normality, and all metrics together."""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


@njit(nogil=True, cache=True, error_model="numpy")
def add_evidence(
    z: Singles, metric_of: Codes, half_width: tuple[Floats, Floats], weight: Floats, power: float, total: Floats, credit: Floats
) -> None:
    """Fill `total`, shape (rows,), and unless it is empty `credit`, shape (rows, columns), which sums to `total` by row.

    A column's evidence is log(1 + (z / h)^2) with h the half width for its sign: the surprisal of a Student-like law, quadratic
    up to h scales and logarithmic beyond, so one value however wild cannot drown the others. A metric's evidence is its
    strongest column's times the metric's weight; a row's is the p-norm over metrics. Missing columns (NaN, or a metric code
    of -1) say nothing.
    """
    below, above = half_width
    metrics = len(weight)
    strongest, which = np.empty(metrics), np.empty(metrics, np.int64)
    for row in range(len(z)):
        strongest[:] = 0.0
        which[:] = -1
        for column in range(len(metric_of)):
            metric, value = metric_of[column], np.float64(z[row, column])
            if metric < 0 or np.isnan(value):
                continue
            scaled = value / (above[column] if value > 0 else below[column])
            square = scaled * scaled
            if square > strongest[metric]:
                strongest[metric], which[metric] = square, column
        power_sum = 0.0
        for metric in range(metrics):
            if which[metric] >= 0:
                strongest[metric] = (weight[metric] * np.log1p(strongest[metric])) ** power
                power_sum += strongest[metric]
        total[row] = power_sum ** (1.0 / power)
        if len(credit) and power_sum > 0:
            for metric in range(metrics):
                if which[metric] >= 0:
                    credit[row, which[metric]] = strongest[metric] * total[row] / power_sum
