"""Rows as they arrive: what each device's next features need, kept in rings, by the same rules as whole histories.

Equal to the batch kernels: they share the rules of `windows` and the z-scores, and a window is summed afresh for each row,
newest value first, as it is there.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from server.kernels.windows import has_left_window, has_reached_lag, is_near_lag, mean_or_missing, std_or_missing
from server.kernels.zscore import fill_z

Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]

TAKEN, LATE, DUPLICATE, FULL = 0, 1, 2, 3
_LOGGED, _LOWER, _UPPER, _SENTINELS = 0, 1, 2, 3
_HOUR = 3_600_000_000

Readings: TypeAlias = tuple[Ints, Ints, Floats, Ints]
"""Device codes, times, values of shape (readings, metrics) as measured, and the outcome of each, to be filled."""
Rings: TypeAlias = tuple[Ints, Floats, Ints]
"""Times (devices, capacity), values and means (2, devices, capacity, metrics), and cursors (devices, 4): rows taken so far, the
first of the window, the lagged one (-1 for none), and the cohort. Row n lies in slot n modulo the capacity, a power of two."""
Rules: TypeAlias = tuple[tuple[int, int, int], Floats]
"""(window, lag, min_count), and by metric whether it is logged, its bounds and its sentinels, padded with NaN."""

Expected: TypeAlias = tuple[Floats, Floats, int]
"""Centre and scale, shape (2, devices, columns); the profile's deviation by cell and feature, and its hours (0 for none)."""


@njit(nogil=True, cache=True, error_model="numpy")
def cleaned(value: float, limits: Floats) -> float:
    """A measured value as features take it; NaN where it is infinite, out of bounds or a sentinel."""
    if not limits[_LOWER] <= value <= limits[_UPPER]:
        return np.nan
    for sentinel in limits[_SENTINELS:]:
        if value == sentinel:
            return np.nan
    return np.log1p(max(value, 0.0)) if limits[_LOGGED] else value


@njit(nogil=True, cache=True, error_model="numpy")
def _make_room(times: Ints, cursor: Ints, now: int, windows: tuple[int, int, int]) -> int:
    """Move the device's cursor on to a row at `now`; says why the row cannot be taken, if it cannot."""
    window, lag, _ = windows
    mask = len(times) - 1
    taken, start, lagged = cursor[0], cursor[1], cursor[2]
    if taken and now <= times[(taken - 1) & mask]:
        return DUPLICATE if now == times[(taken - 1) & mask] else LATE
    while start < taken and has_left_window(now, int(times[start & mask]), window):
        start += 1
    while lagged + 1 < taken and has_reached_lag(now, int(times[(lagged + 1) & mask]), lag):
        lagged += 1
    if taken - min(start, max(lagged, 0)) > mask:
        return FULL
    cursor[1], cursor[2] = start, lagged
    return TAKEN


@njit(nogil=True, cache=True, error_model="numpy")
def _window_features(values: Floats, first: int, newest: int, min_count: int, features: Floats) -> None:
    """Fill the means and deviations of one device's rows first..newest of its ring."""
    mask, metrics = len(values) - 1, values.shape[1]
    mean, std, own = features[:metrics], features[metrics : 2 * metrics], values[newest & mask]
    count = np.zeros(metrics)
    mean[:] = 0.0
    std[:] = 0.0
    for at in range(newest, first - 1, -1):
        row = values[at & mask]
        for metric in range(metrics):
            known = not np.isnan(row[metric])
            count[metric] += 1.0 if known else 0.0
            mean[metric] += row[metric] if known else 0.0
    for metric in range(metrics):
        mean[metric] /= count[metric]
    for at in range(newest, first - 1, -1):
        row = values[at & mask]
        for metric in range(metrics):
            gap = row[metric] - mean[metric]
            std[metric] += 0.0 if np.isnan(gap) else gap * gap
    for metric in range(metrics):
        std[metric] = std_or_missing(std[metric], count[metric], min_count, own[metric])
        mean[metric] = mean_or_missing(mean[metric], count[metric], min_count, own[metric])


@njit(nogil=True, cache=True, error_model="numpy")
def take_readings(readings: Readings, begin: int, rings: Rings, rules: Rules, features: Floats) -> int:
    """Take readings from `begin` on, in order, and fill their outcomes and features, shape (readings, 3 x metrics).

    Returns how many are done: fewer than all when a device's ring is full, which has to be enlarged first. A reading that is
    not later than its device's last is refused, changes nothing, and has no features (NaN).
    """
    device, time, measured, outcome = readings
    times, history, cursors = rings
    windows, limits = rules
    metrics = measured.shape[1]
    for reading in range(begin, len(device)):
        own = device[reading]
        features[reading] = np.nan
        outcome[reading] = _make_room(times[own], cursors[own], time[reading], windows)
        if outcome[reading] == FULL:
            return reading
        if outcome[reading] != TAKEN:
            continue
        newest, first, lagged = cursors[own, 0], cursors[own, 1], cursors[own, 2]
        slot = newest & (times.shape[1] - 1)
        times[own, slot] = time[reading]
        for metric in range(metrics):
            history[0, own, slot, metric] = cleaned(measured[reading, metric], limits[metric])
        _window_features(history[0, own], first, newest, windows[2], features[reading])
        history[1, own, slot] = features[reading, :metrics]
        cursors[own, 0] = newest + 1
        earlier = lagged & (times.shape[1] - 1)
        if lagged >= 0 and is_near_lag(int(time[reading]), int(times[own, earlier]), windows[1], windows[0]):
            for metric in range(metrics):
                features[reading, 2 * metrics + metric] = features[reading, metric] - history[1, own, earlier, metric]
    return len(device)


@njit(nogil=True, cache=True, error_model="numpy")
def normalize_readings(
    readings: Readings, cursors: Ints, expected: Expected, made: tuple[Floats, Singles, Floats, npt.NDArray[np.int32]]
) -> None:
    """From features, fill z, shape (readings, columns), and by reading the share of columns known and the profile's cell.

    Columns are every feature against its own level, then, where there are more, means against the cohort.
    """
    features, z, known, cell = made
    device, time, _, _ = readings
    typical, deviation, hours = expected
    centre, scale = typical[0], typical[1]
    width = features.shape[1]
    segment = np.empty(len(device), np.int32)
    for reading in range(len(device)):
        segment[reading] = device[reading]
        cell[reading] = (cursors[device[reading], 3] + 1) * hours + (time[reading] // _HOUR) % hours if hours else 0
    fill_z(features.T, segment, centre[:, :width], scale[:, :width], deviation, cell, z[:, :width])
    means = z.shape[1] - width
    if means:
        fill_z(features.T[:means], segment, centre[:, width:], scale[:, width:], deviation, cell, z[:, width:])
    for reading in range(len(device)):
        missing = 0
        for column in range(z.shape[1]):
            missing += np.isnan(z[reading, column])
        known[reading] = 1.0 - missing / z.shape[1]
