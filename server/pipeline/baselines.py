"""Baselines: median and robust scale of every feature for the fleet, its cohorts, sites and devices.

Scale is 1.4826 times the median absolute deviation, or 1.2533 times the mean one where that is larger (both estimate a normal's
standard deviation): a metric that rests at one value most of the time has a MAD of 0 but is not without spread.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Adjustment, Level
from server.domain.settings import BaselineSettings
from server.domain.telemetry import Members
from server.errors import NotEnoughData
from server.kernels.medians import group_statistics, rows_by_group
from server.pipeline.features import Feature, FeaturePlan
from server.pipeline.parallel import in_order
from server.pipeline.profile import Profile, ProfileSample, fit_profile, sample_for_profile
from server.pipeline.table import FeatureTable

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

MAD_TO_SIGMA = 1.4826
MEAN_DEVIATION_TO_SIGMA = 1.2533
_ROUNDING_SIGMA = 12**-0.5
_FLOOR_SHARE = 0.01
"""A group's scale is at least this share of what is typical for its level."""
_IN_PLACE = np.empty(0, np.int32)
"""The order of rows that lie in the order of their groups."""


@dataclass(frozen=True, slots=True)
class LevelStatistics:
    """One level: per group and feature the median, robust scale and n.

    Each array is of shape (groups, features).
    """

    level: Level
    groups: tuple[str, ...]
    median: Floats
    scale: Floats
    count: Floats
    min_rows: int | None = None
    """Rows at which this level starts to count, where that differs from the set's."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which group of each level a row belongs to. Site codes stand for (cohort, store or customer) pairs that occur."""

    cohorts: tuple[str, ...]
    site_of: Codes
    """Site code by (cohort + 1, place + 1); -1 where the pair does not occur."""
    sites: tuple[str, ...]
    site_key: str

    def site_codes(self, cohort: Codes, place: Codes) -> Codes:
        """Each row's site, -1 for none."""
        codes: Codes = self.site_of[cohort + 1, place + 1]
        return codes


@dataclass(frozen=True, slots=True)
class BaselineSet:
    """What is normal for a fleet, as of one snapshot: the levels from widest to narrowest and the daily or weekly profile.

    `adjustments` is what people approved, laid over the estimate; `estimate` is the set without it.
    """

    plan: FeaturePlan
    min_rows: int
    levels: tuple[LevelStatistics, ...]
    grouping: Grouping
    profile: Profile | None
    adjustments: tuple[Adjustment, ...] = ()
    until: int = 0
    """The last event time that was estimated from, in microseconds since 1970 UTC."""

    @property
    def estimate(self) -> "BaselineSet":
        """What telemetry alone says."""
        return replace(self, adjustments=())

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features, in the order of every array's last axis."""
        return self.plan.features


@dataclass(frozen=True, slots=True)
class RawFallback:
    """Baselines failed and the walk goes on with raw features; the reason is shown on the run and on every anomaly."""

    reason: str
    plan: FeaturePlan


def same_estimate(one: BaselineSet, other: BaselineSet) -> bool:
    """Whether two sets say the same of telemetry, whatever people approved on top."""
    if _shape(one) != _shape(other):
        return False
    return all(np.array_equal(left, right, equal_nan=True) for left, right in zip(_arrays(one), _arrays(other), strict=True))


def _shape(baselines: BaselineSet) -> tuple[object, ...]:
    """What an estimate is about: everything but its numbers."""
    levels = [(level.level, level.groups, level.min_rows) for level in baselines.levels]
    rhythm = baselines.profile.hours if baselines.profile else None
    return baselines.plan, baselines.min_rows, baselines.until, levels, rhythm


def _arrays(baselines: BaselineSet) -> list[npt.NDArray[np.float64]]:
    """All numbers of an estimate."""
    profile = [baselines.profile.deviation] if baselines.profile else []
    levels = [array for level in baselines.levels for array in (level.median, level.scale, level.count)]
    return [*levels, baselines.grouping.site_of.astype(np.float64), *profile]


def compute_baselines(
    table: FeatureTable,
    members: Members,
    settings: BaselineSettings,
    *,
    excluded: npt.NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> BaselineSet:
    """Baselines of every feature from the rows that may be fitted on.

    `excluded` marks rows to leave out besides, such as those inside open incidents or marked true; shape (rows,).

    Raises:
        NotEnoughData: no feature has `min_rows` values in the whole fleet.
    """
    usable = table.reference if excluded is None else table.reference & ~excluded
    grouping = group_rows(table, members)
    orders = _orders(table, grouping, members)
    sample = sample_for_profile(table, len(members.cohorts), settings.profile_days)
    largest = max(int(np.diff(bounds).max(initial=0)) for _, _, bounds in orders)
    spaces = _Spaces(threads, table.rows, largest)
    work = partial(_column_statistics, table=table, unusable=~usable, orders=orders, sample=sample, spaces=spaces)
    columns = list(in_order(work, [feature.name for feature in table.plan.features], threads))
    statistics = {level: np.stack([column.levels[i] for column in columns], axis=-1) for i, (level, _, _) in enumerate(orders)}
    profile = Profile.of(sample.cells, sample.hours, [column.profile for column in columns]) if sample else None
    return baseline_set(table.plan, settings, statistics, (grouping, members), profile)


def baseline_set(
    plan: FeaturePlan,
    settings: BaselineSettings,
    statistics: Mapping[Level, Floats],
    names: tuple[Grouping, Members],
    profile: Profile | None,
) -> BaselineSet:
    """Baselines from each level's median, MAD, mean absolute deviation and count, of shape (groups, 4, features).

    Raises:
        NotEnoughData: no feature has `min_rows` values in the whole fleet.
    """
    grouping, members = names
    groups = {
        Level.GLOBAL: ("fleet",),
        Level.COHORT: grouping.cohorts,
        Level.SITE: grouping.sites,
        Level.DEVICE: members.devices,
    }
    floors = np.array([_rounding_floor(feature) for feature in plan.features])
    levels = tuple(_level(level, groups[level], found, floors) for level, found in statistics.items())
    most = levels[0].count.max(initial=0)
    if most < settings.min_rows:
        raise NotEnoughData("fleet", int(most), settings.min_rows, "Ingest more telemetry or widen the window.")
    return BaselineSet(plan, settings.min_rows, levels, grouping, profile)


@dataclass(frozen=True, slots=True)
class _Column:
    levels: list[Floats]
    profile: Floats | None


def _column_statistics(
    name: str,
    table: FeatureTable,
    unusable: npt.NDArray[np.bool_],
    orders: Sequence[tuple[Level, Codes, npt.NDArray[np.int64]]],
    sample: ProfileSample | None,
    spaces: "_Spaces",
) -> _Column:
    """Statistics of one feature for every group of every level, around its profile where it has one."""
    with spaces.one() as (column, work):
        table.fill(name, column)
        np.copyto(column, np.nan, where=unusable)
        device, profile = None, None
        if sample is not None:
            device = _statistics(column, _IN_PLACE, table.device_bounds, work)
            profile = fit_profile(column, device[:, 0], sample, work[0])
            if profile is not None:
                np.subtract(column, sample.expected(profile, work[0, : len(column)]), out=column)
        # most features have no profile: what was found of each device then stands
        found = None if profile is not None else device
        levels = [
            found if level is Level.DEVICE and found is not None else _statistics(column, order, bounds, work)
            for level, order, bounds in orders
        ]
    return _Column(levels, profile)


class _Spaces:
    """For each thread a column and the kernel's `work`: made once, as new memory costs more than what is done in it."""

    def __init__(self, threads: int, rows: int, largest: int) -> None:
        self._free = SimpleQueue[tuple[Floats, Floats]]()
        for _ in range(max(threads, 1)):
            self._free.put((np.empty(rows), np.empty((2, largest + 1))))

    @contextmanager
    def one(self) -> Generator[tuple[Floats, Floats]]:
        """A column and work that nobody else uses meanwhile."""
        space = self._free.get()
        try:
            yield space
        finally:
            self._free.put(space)


def _statistics(column: Floats, order: Codes, bounds: npt.NDArray[np.int64], work: Floats) -> Floats:
    statistics = np.full((len(bounds) - 1, 4), np.nan)
    group_statistics(column, order, bounds, statistics, work)
    return statistics


def column_profile(column: Floats, device_bounds: npt.NDArray[np.int64], sample: ProfileSample, work: Floats) -> Floats | None:
    """The profile of one feature around its devices' medians; `work` has shape (2, at least the largest device + 1)."""
    return fit_profile(column, _statistics(column, _IN_PLACE, device_bounds, work)[:, 0], sample, np.empty(len(sample.order)))


class Keyed(Protocol):
    """What has a cohort, store and customer code for each row, or for each stretch of rows."""

    def key(self, name: str) -> Codes:
        """The codes of that name, -1 for none."""
        ...


def group_rows(table: Keyed, members: Members) -> Grouping:
    """Names of cohorts and sites; sites are stores, or customers where there are no stores, within cohorts."""
    site_key, places = ("store", members.stores) if members.stores else ("customer", members.customers)
    cohorts = tuple(" / ".join(cohort) for cohort in members.cohorts)
    site_of = np.full((len(cohorts) + 1, len(places) + 1), -1, np.int32)
    if not places:
        return Grouping(cohorts, site_of, (), site_key)
    seen = np.zeros(site_of.shape, bool)
    seen[table.key("cohort") + 1, table.key(site_key) + 1] = True
    seen[:, 0] = False
    site_of[seen] = np.arange(seen.sum(), dtype=np.int32)
    with_none = ("unknown", *cohorts)
    sites = tuple(f"{with_none[cohort]} @ {places[place - 1]}" for cohort, place in zip(*np.nonzero(seen), strict=True))
    return Grouping(cohorts, site_of, sites, site_key)


def kept_levels(grouping: Grouping, members: Members) -> tuple[Level, ...]:
    """The levels that say something of their own, widest first: with several cohorts or devices, and where there are sites."""
    own = {
        Level.COHORT: len(grouping.cohorts) > 1,
        Level.SITE: bool(grouping.sites),
        Level.DEVICE: len(members.devices) > 1,
    }
    return tuple(level for level in Level if own.get(level, True))


def _orders(table: FeatureTable, grouping: Grouping, members: Members) -> list[tuple[Level, Codes, npt.NDArray[np.int64]]]:
    """Each level's rows by group, widest level first; an empty order means that the rows lie in group order already."""
    orders = [(Level.GLOBAL, _IN_PLACE, np.array([0, table.rows], np.int64))]
    cohort = table.key("cohort")
    kept = kept_levels(grouping, members)
    if Level.COHORT in kept:
        orders.append((Level.COHORT, *rows_by_group(cohort, len(grouping.cohorts))))
    if Level.SITE in kept:
        site = grouping.site_codes(cohort, table.key(grouping.site_key))
        orders.append((Level.SITE, *rows_by_group(site, len(grouping.sites))))
    if Level.DEVICE in kept:
        orders.append((Level.DEVICE, _IN_PLACE, table.device_bounds))
    return orders


def _level(level: Level, groups: tuple[str, ...], statistics: Floats, floors: Floats) -> LevelStatistics:
    """A level from its raw statistics of shape (groups, 4, features): scales made robust and floored."""
    median, mad, mean_deviation, count = statistics.transpose(1, 0, 2)
    scale = np.maximum(MAD_TO_SIGMA * mad, MEAN_DEVIATION_TO_SIGMA * mean_deviation)
    known = count > 0
    typical = np.where(known, scale, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    floor = np.maximum(floors, _FLOOR_SHARE * typical)
    scale = np.maximum(np.nan_to_num(scale), floor)
    # a feature that never moved anywhere has no scale of its own: a hundredth of its value, or one unit around zero
    still = np.where(np.nan_to_num(median) != 0, _FLOOR_SHARE * np.abs(np.nan_to_num(median)), 1.0)
    scale = np.where(scale > 0, scale, still)
    return LevelStatistics(level, groups, median, scale, np.nan_to_num(count))


def _rounding_floor(feature: Feature) -> float:
    """The spread that rounding to the metric's resolution makes by itself, 0 where the resolution is not known."""
    return (feature.metric.resolution or 0.0) * _ROUNDING_SIGMA
