"""Baselines of a table in parts: each device's in its part, those of wider groups from brackets, exact.

Medians, MADs and counts are the very numbers that `compute_baselines` finds. Mean absolute deviations are sums over parts and
differ from its sums over rows by rounding, in the last of sixteen digits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Level
from server.domain.settings import BaselineSettings
from server.engines.base import Estimated
from server.engines.spark.cluster import Cluster
from server.kernels.brackets import bracket, inside, median_inside, sample, shares
from server.kernels.medians import group_statistics
from server.pipeline.baselines import Codes, Floats, Grouping, baseline_set, column_profile, group_rows, kept_levels
from server.pipeline.exclusion import KeptOut
from server.pipeline.presence import Presence
from server.pipeline.profile import Profile, profile_hours, rows_for_profile, sampled_for_profile
from server.pipeline.table import FeatureTable

Ints = npt.NDArray[np.int64]
Numbered = tuple[int, FeatureTable]
_Key = tuple[int, Level]
"""A feature by its place, and a level."""
_NOTHING = np.empty(0)


@dataclass(frozen=True, slots=True)
class Usable:
    """Which rows of a part may teach, and which group of each level they belong to."""

    kept_out: KeptOut
    grouping: Grouping
    levels: tuple[Level, ...]
    profile: Profile | None = None

    def columns(self, table: FeatureTable) -> Iterator[Floats]:
        """Every feature in turn without its profile, NaN where a row may not teach."""
        usable = table.reference & ~self.kept_out.rows(table)
        cell = self.profile.cell(table.time, table.key("cohort")) if self.profile else None
        for place, feature in enumerate(table.plan.features):
            column = np.where(usable, table.column(feature.name), np.nan)
            if self.profile is not None and cell is not None:
                column -= self.profile.deviation[:, place][cell]
            yield column

    def codes(self, keyed: FeatureTable | Presence, rows: int) -> dict[Level, Codes]:
        """Group codes of rows (or stays) by level, for levels whose groups lie in several parts."""
        cohort = keyed.key("cohort")
        found = {Level.GLOBAL: np.zeros(rows, np.int32)}
        if Level.COHORT in self.levels:
            found[Level.COHORT] = cohort
        if Level.SITE in self.levels:
            found[Level.SITE] = self.grouping.site_codes(cohort, keyed.key(self.grouping.site_key))
        return found

    def groups(self, level: Level) -> int:
        """How many groups a level has."""
        return {Level.GLOBAL: 1, Level.COHORT: len(self.grouping.cohorts), Level.SITE: len(self.grouping.sites)}[level]


@dataclass(frozen=True, slots=True)
class Brackets:
    """Between which values to look for each group's median; around `centre`, if there is one, for that of distances from it."""

    low: Floats
    high: Floats
    centre: Floats


def estimate(
    cluster: Cluster, tables: Sequence[FeatureTable], presence: Presence, kept_out: KeptOut, settings: BaselineSettings
) -> Estimated:
    """Baselines of the table that these parts make up.

    Raises:
        NotEnoughData: no feature has `min_rows` values in the whole fleet.
    """
    members = kept_out.members
    grouping = group_rows(presence, members)
    parts = list(enumerate(tables))
    usable = Usable(kept_out, grouping, kept_levels(grouping, members))
    usable = replace(usable, profile=_profile(cluster, parts, usable, presence, settings))
    devices = cluster.over(partial(_device_statistics, usable=usable), parts)
    statistics = _of_wide_groups(cluster, parts, usable, presence)
    if Level.DEVICE in usable.levels:
        statistics[Level.DEVICE] = np.concatenate([found for found, _ in devices])
    plan = tables[0].plan
    found = baseline_set(plan, settings, statistics, (grouping, members), usable.profile)
    return Estimated(found, sum(kept for _, kept in devices))


def _device_statistics(part: Numbered, usable: Usable) -> tuple[Floats, int]:
    """Statistics of the part's devices, shape (devices, 4, features), and how many of its rows are kept out."""
    _, table = part
    bounds = table.device_bounds
    work = np.empty((2, int(np.diff(bounds).max(initial=0)) + 1))
    found = np.full((len(table.plan.features), len(bounds) - 1, 4), np.nan)
    for place, column in enumerate(usable.columns(table)):
        group_statistics(column, np.empty(0, np.int32), bounds, found[place], work)
    return found.transpose(1, 2, 0), int(usable.kept_out.rows(table).sum())


def _of_wide_groups(cluster: Cluster, parts: Sequence[Numbered], usable: Usable, presence: Presence) -> dict[Level, Floats]:
    """Statistics by level of the groups that lie in several parts, each of shape (groups, 4, features)."""
    codes, keys = usable.codes(presence, len(presence.device)), len(parts[0][1].plan.features) * 3
    share = {level: shares(np.bincount(code[code >= 0], presence.rows[code >= 0], usable.groups(level)))
             for level, code in codes.items()}  # fmt: skip
    sampled = cluster.by_key(partial(_sampled, usable=usable, share=share), parts, keys=keys).kept()
    centres = sampled.map(partial(_bracketed, usable=usable))
    middle = _medians(cluster, parts, usable, centres)
    spreads = sampled.map(partial(_bracketed, usable=usable, centres={key: found.median for key, found in middle.items()}))
    sampled.release()
    spread = _medians(cluster, parts, usable, spreads)
    levels: dict[Level, Floats] = {}
    for level in codes:
        columns = [(middle[place, level], spread[place, level]) for place in range(len(parts[0][1].plan.features))]
        levels[level] = np.stack([_statistics(*column) for column in columns], axis=-1)
    return levels


@dataclass(frozen=True, slots=True)
class _Median:
    """Each group's median, how many values it is of and their sum; and which brackets missed theirs."""

    median: Floats
    count: Ints
    total: Floats
    missed: npt.NDArray[np.bool_]


def _statistics(middle: _Median, spread: _Median) -> Floats:
    count = middle.count
    mean = np.divide(spread.total, count, out=np.full(len(count), np.nan), where=count > 0)
    return np.stack([middle.median, spread.median, mean, count.astype(np.float64)], axis=-1)


def _medians(
    cluster: Cluster, parts: Sequence[Numbered], usable: Usable, brackets: Mapping[_Key, Brackets]
) -> dict[_Key, _Median]:
    """The medians inside the brackets; those of brackets that missed are looked for among all values."""
    found = cluster.by_key(partial(_inside, usable=usable, brackets=brackets), parts, keys=len(brackets)).map(_median)
    missed = {key: each.missed for key, each in found.items() if each.missed.any()}
    if not missed:
        return found
    wide = {key: _only(brackets[key], which) for key, which in missed.items()}
    for key, again in (
        cluster.by_key(partial(_inside, usable=usable, brackets=wide), parts, keys=len(wide)).map(_median).items()
    ):
        found[key] = replace(found[key], median=np.where(missed[key], again.median, found[key].median))
    return found


def _only(brackets: Brackets, groups: npt.NDArray[np.bool_]) -> Brackets:
    """Everything for those groups, nothing for the others."""
    return replace(brackets, low=np.where(groups, -np.inf, np.inf), high=np.where(groups, np.inf, -np.inf))


def _sampled(part: Numbered, usable: Usable, share: Mapping[Level, Floats]) -> Iterator[tuple[_Key, tuple[Codes, Floats]]]:
    number, table = part
    codes = usable.codes(table, table.rows)
    for place, column in enumerate(usable.columns(table)):
        for level, code in codes.items():
            yield (place, level), sample(column, code, share[level], number)


def _bracketed(
    key: _Key, samples: Sequence[tuple[Codes, Floats]], usable: Usable, centres: Mapping[_Key, Floats] | None = None
) -> Brackets:
    group, value = (np.concatenate(each) for each in zip(*samples, strict=True))
    centre = centres[key] if centres else _NOTHING
    low, high = bracket(group, np.abs(value - centre[group]) if centres else value, usable.groups(key[1]))
    return Brackets(low, high, centre)


def _inside(
    part: Numbered, usable: Usable, brackets: Mapping[_Key, Brackets]
) -> Iterator[tuple[_Key, tuple[Ints, Ints, Floats, Codes, Floats]]]:
    _, table = part
    codes = usable.codes(table, table.rows)
    for place, column in enumerate(usable.columns(table)):
        for level, code in codes.items():
            if (place, level) in brackets:
                wanted = brackets[place, level]
                yield (place, level), inside(column, code, wanted.low, wanted.high, wanted.centre)


def _median(_: _Key, found: Sequence[tuple[Ints, Ints, Floats, Codes, Floats]]) -> _Median:
    counts, belows, totals, groups, values = zip(*found, strict=True)
    count = np.sum(counts, axis=0)
    median, missed = median_inside(count, np.sum(belows, axis=0), np.concatenate(groups), np.concatenate(values))
    return _Median(median, count, np.sum(totals, axis=0), missed)


def _profile(
    cluster: Cluster, parts: Sequence[Numbered], usable: Usable, presence: Presence, settings: BaselineSettings
) -> Profile | None:
    """The profile of the fleet, from the devices that `sample_for_profile` would take."""
    begins = np.flatnonzero(np.diff(presence.device, prepend=-1))
    ends = np.append(begins[1:], len(presence.device)) - 1
    hours = profile_hours(presence.first[begins], presence.last[ends], settings.profile_days)
    if hours is None:
        return None
    devices = presence.device[begins[sampled_for_profile(presence.cohort[begins])]]
    own = partial(_taken, usable=usable, devices=devices)
    keys = [found for found in cluster.over(partial(_keys, devices=devices), parts) if len(found[0])]
    device, time, cohort = (np.concatenate(each) for each in zip(*keys, strict=True))
    bounds = np.append(np.flatnonzero(np.diff(device, prepend=-1)), len(device)).astype(np.int64)
    fit = partial(_fitted, time=time, cohort=cohort, bounds=bounds, about=(len(usable.grouping.cohorts), hours))
    columns = cluster.by_key(own, parts, keys=len(parts[0][1].plan.features)).map(fit)
    cell_count = (len(usable.grouping.cohorts) + 1) * hours
    return Profile.of(cell_count, hours, [columns[place] for place in range(len(columns))])


def _keys(part: Numbered, devices: Codes) -> tuple[Codes, Ints, Codes]:
    _, table = part
    wanted = np.isin(table.key("device"), devices)
    return table.key("device")[wanted], table.time[wanted], table.key("cohort")[wanted]


def _taken(part: Numbered, usable: Usable, devices: Codes) -> Iterator[tuple[int, Floats]]:
    _, table = part
    wanted = np.isin(table.key("device"), devices)
    for place, column in enumerate(usable.columns(table)):
        yield place, column[wanted]


def _fitted(_: int, values: Sequence[Floats], time: Ints, cohort: Codes, bounds: Ints, about: tuple[int, int]) -> Floats | None:
    rows = rows_for_profile(time, cohort, bounds, *about)
    work = np.empty((2, int(np.diff(bounds).max(initial=0)) + 1))
    return column_profile(np.concatenate(values), bounds, rows, work)
