"""Baselines: median and robust scale of every feature for the fleet, its cohorts, sites and devices.

Scale is 1.4826 times the median absolute deviation, or 1.2533 times the mean one where that is larger (both estimate a normal's
standard deviation): a metric that rests at one value most of the time has a MAD of 0 but is not without spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

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
    work = partial(_column_statistics, table=table, usable=usable, orders=orders, sample=sample)
    columns = list(in_order(work, [feature.name for feature in table.plan.features], threads))
    names = {
        Level.GLOBAL: ("fleet",),
        Level.COHORT: grouping.cohorts,
        Level.SITE: grouping.sites,
        Level.DEVICE: members.devices,
    }
    floors = np.array([_rounding_floor(feature) for feature in table.plan.features])
    levels = tuple(
        _level(level, names[level], np.stack([column.levels[i] for column in columns], axis=-1), floors)
        for i, (level, _, _) in enumerate(orders)
    )
    most = levels[0].count.max(initial=0)
    if most < settings.min_rows:
        raise NotEnoughData("fleet", int(most), settings.min_rows, "Ingest more telemetry or widen the window.")
    profile = Profile.of(sample, [column.profile for column in columns]) if sample else None
    return BaselineSet(table.plan, settings.min_rows, levels, grouping, profile)


@dataclass(frozen=True, slots=True)
class _Column:
    levels: list[Floats]
    profile: Floats | None


def _column_statistics(
    name: str,
    table: FeatureTable,
    usable: npt.NDArray[np.bool_],
    orders: Sequence[tuple[Level, Codes, npt.NDArray[np.int64]]],
    sample: ProfileSample | None,
) -> _Column:
    """Statistics of one feature for every group of every level, around its profile where it has one."""
    values = table.column(name)
    column = np.where(usable, values, np.nan)
    work = np.empty((2, max(int(np.diff(bounds).max(initial=0)) for _, _, bounds in orders) + 1))
    profile = None
    if sample is not None:
        device = np.full((len(table.device_bounds) - 1, 4), np.nan)
        group_statistics(column, np.empty(0, np.int32), table.device_bounds, device, work)
        profile = fit_profile(column, device[:, 0], sample)
        if profile is not None:
            column -= sample.expected(profile)
    levels: list[Floats] = []
    for _, order, bounds in orders:
        statistics = np.full((len(bounds) - 1, 4), np.nan)
        group_statistics(column, order, bounds, statistics, work)
        levels.append(statistics)
    return _Column(levels, profile)


def group_rows(table: FeatureTable, members: Members) -> Grouping:
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


def _orders(table: FeatureTable, grouping: Grouping, members: Members) -> list[tuple[Level, Codes, npt.NDArray[np.int64]]]:
    """Each level's rows by group, widest level first; an empty order means that the rows lie in group order already."""
    in_place = np.empty(0, np.int32)
    orders = [(Level.GLOBAL, in_place, np.array([0, table.rows], np.int64))]
    cohort = table.key("cohort")
    if len(grouping.cohorts) > 1:
        orders.append((Level.COHORT, *rows_by_group(cohort, len(grouping.cohorts))))
    if grouping.sites:
        site = grouping.site_codes(cohort, table.key(grouping.site_key))
        orders.append((Level.SITE, *rows_by_group(site, len(grouping.sites))))
    if len(members.devices) > 1:
        orders.append((Level.DEVICE, in_place, table.device_bounds))
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
