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
    columns, metrics = len(metric_of), len(weight)
    below, above = 1.0 / half_width[0], 1.0 / half_width[1]
    square, strongest, part = np.empty(columns), np.empty(metrics), np.empty(metrics)
    for row in range(len(z)):
        strongest[:] = 0.0
        for column in range(columns):
            metric, value = metric_of[column], np.float64(z[row, column])
            scaled = value * (above[column] if value > 0 else below[column])
            square[column] = scaled * scaled
            if metric >= 0:
                # a maximum that keeps its first argument where the second is NaN: no branch, so nothing to predict wrongly
                strongest[metric] = square[column] if square[column] > strongest[metric] else strongest[metric]
        power_sum = 0.0
        for metric in range(metrics):
            part[metric] = _raised(weight[metric] * _log_of_one_more(strongest[metric]), power)
            power_sum += part[metric]
        total[row] = power_sum ** (1.0 / power)
        if len(credit) and power_sum > 0:
            for column in range(columns):
                metric = metric_of[column]
                if metric >= 0 and square[column] == strongest[metric]:
                    credit[row, column] = part[metric] * total[row] / power_sum
                    part[metric] = 0.0  # the first of equal columns has it all


@njit(nogil=True, cache=True, error_model="numpy")
def _log_of_one_more(square: float) -> float:
    """log(1 + square): where that is not small the plain logarithm is as exact, and takes half the time."""
    return np.log(1.0 + square) if square > 1e-3 else np.log1p(square)


@njit(nogil=True, cache=True, error_model="numpy")
def _raised(evidence: float, power: float) -> float:
    """Evidence to a power; to that of 1.5 by a square root, as a general power takes several times as long."""
    return evidence * np.sqrt(evidence) if power == 1.5 else evidence**power
