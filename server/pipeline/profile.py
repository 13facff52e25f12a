"""The daily or weekly rhythm of each cohort: how far a feature lies from its device's median at each hour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.kernels.medians import gather_gaps, group_statistics, rows_by_group
from server.pipeline.table import FeatureTable

Floats = npt.NDArray[np.float64]

_HOUR = 3_600_000_000
_DAY, _WEEK = 24, 168
_WEEKS_FOR_WEEKDAYS = 3
_DEVICES_PER_COHORT = 64
_CONVINCING = 0.5
"""Share of a profile's variance over hours that must not be chance for it to be used."""


@dataclass(frozen=True, slots=True)
class ProfileSample:
    """The rows that profiles are estimated from, grouped by (cohort, hour), and the cell of every row of the fleet."""

    cells: int
    hours: int
    cell: npt.NDArray[np.int32]
    order: npt.NDArray[np.int32]
    device: npt.NDArray[np.int32]
    """By place in `order`, which of the table's devices it is."""
    bounds: npt.NDArray[np.int64]

    def expected(self, profile: Floats, out: Floats) -> Floats:
        """The profile's value at every row, in `out`."""
        return np.take(profile, self.cell, out=out, mode="clip")  # the other modes fill a copy first


@dataclass(frozen=True, slots=True)
class Profile:
    """Expected deviation from the median by (cohort + 1, hour) and feature; shape (cells, features), 0 where there is none."""

    hours: int
    deviation: Floats

    @classmethod
    def of(cls, count: int, hours: int, columns: Sequence[Floats | None]) -> "Profile | None":
        """The features' profiles of so many cells together; None if no feature has a convincing one."""
        if all(column is None for column in columns):
            return None
        nothing = np.zeros(count)
        return cls(hours, np.stack([nothing if column is None else column for column in columns], axis=-1))

    def cell(self, time: npt.NDArray[np.int64], cohort: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Row of `deviation` for each time (microseconds UTC) and cohort code."""
        return cells(time, cohort, self.hours)


def cells(time: npt.NDArray[np.int64], cohort: npt.NDArray[np.int32], hours: int) -> npt.NDArray[np.int32]:
    """Code of (cohort + 1, hour of the day or week, UTC)."""
    return ((cohort.astype(np.int64) + 1) * hours + (time // _HOUR) % hours).astype(np.int32)


def sample_for_profile(table: FeatureTable, cohorts: int, days: int) -> ProfileSample | None:
    """Rows of up to 64 devices a cohort, evenly spread; None where most devices have less history than `days` days.

    Hours of the week are told apart from three weeks on, hours of the day before that.
    """
    cohort, bounds = table.key("cohort"), table.device_bounds
    hours = profile_hours(table.time[bounds[:-1]], table.time[bounds[1:] - 1], days)
    return None if hours is None else rows_for_profile(table.time, cohort, bounds, cohorts, hours)


def profile_hours(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], days: int) -> int | None:
    """How many hours a profile tells apart, by each device's first and last time; None if there is too little history."""
    history = (last - first) // _HOUR
    span = int(np.median(history)) if len(history) else 0
    if span < days * _DAY:
        return None
    return _WEEK if span >= _WEEKS_FOR_WEEKDAYS * _WEEK else _DAY


def sampled_for_profile(cohort: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which devices profiles are estimated from, by the cohort that each began in."""
    return _rank_in_cohort(cohort) < _DEVICES_PER_COHORT


def rows_for_profile(
    time: npt.NDArray[np.int64],
    cohort: npt.NDArray[np.int32],
    bounds: npt.NDArray[np.int64],
    cohorts: int,
    hours: int,
) -> ProfileSample:
    """The rows of sampled devices by cell; `bounds` are the devices' first rows, and the number of rows last."""
    cell = cells(time, cohort, hours)
    device_row = np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))
    sampled = np.where(sampled_for_profile(cohort[bounds[:-1]])[device_row], cell, -1).astype(np.int32)
    count = (cohorts + 1) * hours
    order, starts = rows_by_group(sampled, count)
    return ProfileSample(count, hours, cell, order, device_row[order], starts)


def fit_profile(column: Floats, device_median: Floats, sample: ProfileSample, work: Floats) -> Floats | None:
    """Deviation by cell of one feature, shrunk by what chance alone would show; None if no cohort's is convincing.

    `work` has as many places as the sample has rows, at least.
    """
    centred = work[: len(sample.order)]
    gather_gaps(column, sample.order, sample.device, device_median, centred)
    statistics = np.full((sample.cells, 4), np.nan)
    by_cell = np.empty((2, int(np.diff(sample.bounds).max(initial=0)) + 1))
    group_statistics(centred, np.empty(0, np.int32), sample.bounds, statistics, by_cell, mad=False)
    median, _, spread, count = (part.reshape(-1, sample.hours) for part in statistics.T)
    known = count > 1
    # variance of a median of n is pi/2 times that of a mean; the mean deviation of a normal is 0.8 standard deviations
    chance = np.where(known, (np.pi / 2) ** 2 * spread**2 / np.maximum(count, 1), np.nan)
    observed = _variance(np.where(known, median, np.nan))
    share = 1.0 - np.divide(_mean(chance), observed, out=np.full(len(observed), np.inf), where=observed > 0)
    share = np.where(share >= _CONVINCING, share, 0.0)
    if not share.any():
        return None
    middle = np.array([np.median(row[keep]) if keep.any() else 0.0 for row, keep in zip(median, known, strict=True)])
    profile: Floats = np.where(known, (median - middle[:, None]) * share[:, None], 0.0).ravel()
    return profile


def _rank_in_cohort(cohort: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """How many devices of the same cohort come before each device."""
    order = np.argsort(cohort, kind="stable")
    starts = np.searchsorted(cohort[order], cohort[order], side="left")
    rank = np.empty(len(cohort), np.int64)
    rank[order] = np.arange(len(cohort)) - starts
    return rank


def _mean(rows: Floats) -> Floats:
    known = np.isfinite(rows)
    return np.where(known, rows, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def _variance(rows: Floats) -> Floats:
    gap = np.where(np.isfinite(rows), rows - _mean(rows)[:, None], np.nan)
    return _mean(gap**2)
