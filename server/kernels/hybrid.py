"""The default detector's scores and attribution for a few rows in one call, from the kernels that the batch uses."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from server.kernels.evidence import add_evidence
from server.kernels.forest import add_path_lengths, credit_path_changes
from server.kernels.live import Expected, Readings, Rings, Rules, normalize_readings, take_readings
from server.kernels.missing import fill_missing
from server.kernels.tail import surprisal

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]

AbsoluteZ: TypeAlias = tuple[Ints, tuple[Floats, Floats], Floats, float]
"""`add_evidence`'s metric codes, half widths, weights and power."""
Forest: TypeAlias = tuple[Ints, Singles, npt.NDArray[np.uint16], Singles, Floats, float]
"""Columns that it sees, their medians, then a `PackedForest`'s features, thresholds, paths and normaliser."""
Tails: TypeAlias = tuple[Floats, Floats]
"""Quantiles by part, shape (2, quantiles), and by part the mean excess and the weight."""
Model: TypeAlias = tuple[AbsoluteZ, Forest, Tails, float]
"""The detector and its threshold."""
Made: TypeAlias = tuple[Floats, Singles, Floats, npt.NDArray[np.int32], Floats, Floats]
"""By reading: features, z-scores, share of known columns, cell of the profile, score and credit by column."""


@njit(nogil=True, cache=True, error_model="numpy")
def hybrid_scores(z: Singles, model: Model, scores: Floats, credit: Floats) -> None:
    """Fill the scores, shape (rows,), and for rows below the threshold each column's credit, shape (rows, columns)."""
    absolute, forest, tails, threshold = model
    metric_of, half_width, weight, power = absolute
    columns, medians, feature, bound, path, normaliser = forest
    quantiles, parts = tails
    evidence, length = np.empty(len(z)), np.zeros(len(z))
    add_evidence(z, metric_of, half_width, weight, power, evidence, np.empty((0, 0)))
    filled = np.empty((len(z), len(columns)), np.float32)
    fill_missing(z, columns, medians, filled)
    add_path_lengths(filled, feature, bound, path[:, feature.shape[1] :], length)
    for row in range(len(z)):
        first = parts[0, 1] * surprisal(evidence[row], quantiles[0], parts[0, 0])
        second = parts[1, 1] * surprisal(2.0 ** (-length[row] / normaliser), quantiles[1], parts[1, 0])
        scores[row] = -(first + second)
        if scores[row] >= threshold:
            continue
        own, steps = credit[row : row + 1], np.zeros((1, len(columns)))
        own[:] = 0.0
        add_evidence(z[row : row + 1], metric_of, half_width, weight, power, evidence[row : row + 1], own)
        _share_out(own[0], first)
        credit_path_changes(filled[row : row + 1], feature, bound, path, steps)
        spread = np.zeros(z.shape[1])
        for i in range(len(columns)):
            spread[columns[i]] = steps[0, i]
        _share_out(spread, second)
        own[0] += spread


@njit(nogil=True, cache=True, error_model="numpy")
def _share_out(credit: Floats, amount: float) -> None:
    """Turn credits into parts of `amount`: what speaks for an anomaly shares it, and all columns alike where nothing does."""
    whole = 0.0
    for column in range(len(credit)):
        credit[column] = max(credit[column], 0.0)
        whole += credit[column]
    for column in range(len(credit)):
        credit[column] = amount * (credit[column] / whole if whole > 0 else 1.0 / len(credit))


@njit(nogil=True, cache=True, error_model="numpy")
def score_readings(readings: Readings, rings: Rings, rules: Rules, expected: Expected, model: Model, made: Made) -> int:
    """From readings to scores in one call: fills all that is `made`; returns how many readings are done."""
    features, z, known, cell, scores, credit = made
    done = take_readings(readings, 0, rings, rules, features)
    normalize_readings(readings, rings[2], expected, (features, z, known, cell))
    hybrid_scores(z, model, scores, credit)
    return done
