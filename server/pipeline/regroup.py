"""Baselines of one snapshot in the groups of another: the same statistics, by the other's codes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Level
from server.domain.telemetry import Members
from server.pipeline.baselines import BaselineSet, LevelStatistics, group_rows
from server.pipeline.profile import Profile
from server.pipeline.table import FeatureTable

Floats = npt.NDArray[np.float64]


def regrouped(baselines: BaselineSet, table: FeatureTable, members: Members) -> BaselineSet:
    """The set for another snapshot's table. A group that it does not know has no rows there: wider levels speak for it."""
    grouping = group_rows(table, members)
    names = {Level.COHORT: grouping.cohorts, Level.SITE: grouping.sites, Level.DEVICE: members.devices}
    levels = tuple(_regrouped(level, names.get(level.level, level.groups)) for level in baselines.levels)
    profile = baselines.profile
    if profile is not None:
        known = profile.deviation.reshape(-1, profile.hours, profile.deviation.shape[-1])
        # cohort codes are shifted by one there: the first belongs to rows of no cohort
        of_cohort = _taken(known[1:], baselines.grouping.cohorts, grouping.cohorts, 0.0)
        profile = Profile(profile.hours, np.concatenate([known[:1], of_cohort]).reshape(-1, known.shape[-1]))
    return replace(baselines, levels=levels, grouping=grouping, profile=profile)


def _regrouped(level: LevelStatistics, groups: tuple[str, ...]) -> LevelStatistics:
    return replace(
        level,
        groups=groups,
        median=_taken(level.median, level.groups, groups, np.nan),
        scale=_taken(level.scale, level.groups, groups, 1.0),
        count=_taken(level.count, level.groups, groups, 0.0),
    )


def _taken(values: Floats, before: Sequence[str], after: Sequence[str], absent: float) -> Floats:
    """Values by group in another order of groups."""
    place = {name: code for code, name in enumerate(before)}
    codes = np.array([place.get(name, -1) for name in after], np.int64)
    taken: Floats = np.where((codes >= 0).reshape(-1, *[1] * (values.ndim - 1)), values[codes], absent)
    return taken
