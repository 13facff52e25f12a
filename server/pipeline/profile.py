"""The daily or weekly rhythm of each cohort: how far a feature lies from its device's median at each hour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.kernels.medians import group_statistics, rows_by_group
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
    device_row: npt.NDArray[np.int32]
    order: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]

    def expected(self, profile: Floats) -> Floats:
        """The profile's value at every row."""
        return profile[self.cell]


@dataclass(frozen=True, slots=True)
class Profile:
    """Expected deviation from the median by (cohort + 1, hour) and feature; shape (cells, features), 0 where there is none."""

    hours: int
    deviation: Floats

    @classmethod
    def of(cls, sample: ProfileSample, columns: Sequence[Floats | None]) -> "Profile | None":
        """The features' profiles together; None if no feature has a convincing one."""
        if all(column is None for column in columns):
            return None
        nothing = np.zeros(sample.cells)
        return cls(sample.hours, np.stack([nothing if column is None else column for column in columns], axis=-1))

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
    history = (table.time[bounds[1:] - 1] - table.time[bounds[:-1]]) // _HOUR
    span = int(np.median(history)) if len(history) else 0
    if span < days * _DAY:
        return None
    hours = _WEEK if span >= _WEEKS_FOR_WEEKDAYS * _WEEK else _DAY
    cell = cells(table.time, cohort, hours)
    rank = _rank_in_cohort(cohort[bounds[:-1]])
    device_row = np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))
    sampled = np.where((rank < _DEVICES_PER_COHORT)[device_row], cell, -1).astype(np.int32)
    count = (cohorts + 1) * hours
    return ProfileSample(count, hours, cell, device_row, *rows_by_group(sampled, count))


def fit_profile(column: Floats, device_median: Floats, sample: ProfileSample) -> Floats | None:
    """Deviation by cell of one feature, shrunk by what chance alone would show; None if no cohort's is convincing."""
    centred = column - device_median[sample.device_row]
    statistics = np.full((sample.cells, 4), np.nan)
    work = np.empty((2, int(np.diff(sample.bounds).max(initial=0)) + 1))
    group_statistics(centred, sample.order, sample.bounds, statistics, work)
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
