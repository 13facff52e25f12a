"""Rolling features of one device: mean, standard deviation and lagged change over a time window open on the left."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]


@njit(nogil=True, cache=True)
def has_left_window(now: int, then: int, window: int) -> bool:
    """Whether a row at `then` is outside the window (now - window, now], which is open on the left."""
    return now - then >= window


@njit(nogil=True, cache=True)
def has_reached_lag(now: int, then: int, lag: int) -> bool:
    """Whether a row at `then` is old enough to be the lagged row of one at `now`."""
    return then <= now - lag


@njit(nogil=True, cache=True)
def is_near_lag(now: int, then: int, lag: int, tolerance: int) -> bool:
    """Whether a row that has reached the lag is not too old to be the lagged row."""
    return now - lag - then < tolerance


@njit(nogil=True, cache=True, error_model="numpy")
def mean_or_missing(mean: float, count: float, min_count: int, value: float) -> float:
    """A window's mean where it rests on enough values and the row has one itself, else NaN."""
    return mean if count >= min_count and not np.isnan(value) else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def std_or_missing(squares: float, count: float, min_count: int, value: float) -> float:
    """A window's sample standard deviation from its sum of squared deviations, NaN as for the mean or with a single value."""
    return np.sqrt(squares / (count - 1.0)) if count >= max(min_count, 2) and not np.isnan(value) else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def window_starts(time: Ints, window: int) -> Ints:
    """First row of each row's window (t - window, t], for one device's ascending times."""
    starts = np.empty(len(time), np.int64)
    start = 0
    for row in range(len(time)):
        while has_left_window(time[row], time[start], window):
            start += 1
        starts[row] = start
    return starts


@njit(nogil=True, cache=True, error_model="numpy")
def lagged_rows(time: Ints, lag: int, tolerance: int) -> Ints:
    """Each row's latest row at or before t - lag and later than t - lag - tolerance; -1 where there is none."""
    rows = np.full(len(time), -1, np.int64)
    candidate = -1
    for row in range(len(time)):
        while candidate + 1 < row and has_reached_lag(time[row], time[candidate + 1], lag):
            candidate += 1
        if candidate >= 0 and is_near_lag(time[row], time[candidate], lag, tolerance):
            rows[row] = candidate
    return rows


@njit(nogil=True, cache=True, error_model="numpy")
def window_lengths(starts: Ints) -> Floats:
    """How many rows back from each row its window reaches, itself included."""
    lengths = np.empty(len(starts), np.float64)
    for row in range(len(starts)):
        lengths[row] = row - starts[row] + 1
    return lengths


@njit(nogil=True, cache=True, error_model="numpy")
def mean_and_std(values: Floats, lengths: Floats, min_count: int, mean: Floats, std: Floats) -> None:
    """Fill `mean` and `std` (sample, n - 1) of each row's window; NaN where the row's own value is missing.

    Every window is summed afresh, newest value first, and the deviations are taken from that window's own mean: nothing is
    carried from window to window, so a spike leaves no trace after it and the outcome does not depend on where the rows begin.
    The loops run over rows inside and over the window outside, on slices and floats, so that they become vector instructions.
    """
    rows = len(values)
    count = np.zeros(rows, np.float64)
    mean[:] = 0.0
    std[:] = 0.0
    longest = int(lengths.max()) if rows else 0
    for back in range(longest):
        value, reach, n, total = values[: rows - back], lengths[back:], count[back:], mean[back:]
        for row in range(rows - back):
            inside = (reach[row] > back) & (value[row] == value[row])
            n[row] += 1.0 if inside else 0.0
            total[row] += value[row] if inside else 0.0
    for row in range(rows):
        mean[row] /= count[row]
    for back in range(longest):
        value, reach, centre, total = values[: rows - back], lengths[back:], mean[back:], std[back:]
        for row in range(rows - back):
            gap = value[row] - centre[row]
            total[row] += gap * gap if (reach[row] > back) & (gap == gap) else 0.0  # noqa: PLR0124 - not so for NaN
    for row in range(rows):
        std[row] = std_or_missing(std[row], count[row], min_count, values[row])
        mean[row] = mean_or_missing(mean[row], count[row], min_count, values[row])


@njit(nogil=True, cache=True, error_model="numpy")
def change_since(mean: Floats, lagged: Ints, change: Floats) -> None:
    """Fill `change` with each row's mean less that of its lagged row; NaN where either is missing."""
    for row in range(len(mean)):
        change[row] = mean[row] - mean[lagged[row]] if lagged[row] >= 0 else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def fill_features(bounds: Ints, time: Ints, values: Floats, windows: tuple[int, int, int], features: Floats) -> None:
    """Fill `features` of shape (3, metrics, rows), mean, std and change, from `values` of shape (metrics, rows).

    Device d has the rows bounds[d]:bounds[d + 1]; `windows` is (window, lag) in the unit of `time`, and the fewest values that
    a window's mean may rest on.
    """
    window, lag, min_count = windows
    for device in range(len(bounds) - 1):
        first, last = bounds[device], bounds[device + 1]
        own_time = time[first:last]
        lengths = window_lengths(window_starts(own_time, window))
        lagged = lagged_rows(own_time, lag, window)
        for metric in range(len(values)):
            mean = features[0, metric, first:last]
            mean_and_std(values[metric, first:last], lengths, min_count, mean, features[1, metric, first:last])
            change_since(mean, lagged, features[2, metric, first:last])
