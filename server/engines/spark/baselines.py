"""Baselines of a table in parts, exact: devices in their part, small groups from all of their values, wide ones from brackets.

Medians, MADs and counts are the very numbers that `compute_baselines` finds. Mean absolute deviations of wide groups are sums
over parts and differ from its sums over rows by rounding (5.6e-12 of a scale was the most seen).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Level
from server.domain.settings import BaselineSettings
from server.engines.base import Estimated
from server.engines.spark.cluster import Cluster
from server.engines.spark.groups import Split
from server.engines.spark.rhythm import profile_of
from server.engines.spark.usable import Numbered, Usable
from server.engines.spark.wide import Key, guessed, statistics_of_wide
from server.kernels.brackets import sample
from server.kernels.medians import group_statistics, rows_by_group
from server.pipeline.baselines import Codes, Floats, baseline_set, group_rows, kept_levels
from server.pipeline.exclusion import KeptOut
from server.pipeline.presence import Presence
from server.pipeline.table import FeatureTable

_DEVICES, _VALUES, _SAMPLE = "devices", "values", "sample"
_NO_ORDER = np.empty(0, np.int32)


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
    usable = usable.around(profile_of(cluster, parts, usable, presence, settings))
    split, plan = Split.of(usable, presence), tables[0].plan
    width = len(plan.features)
    found = cluster.by_key(
        partial(_surveyed, usable=usable, split=split),
        parts,
        keys=len(parts) + width * split.shelves,
        moved=int(presence.rows.sum()) * width * 8,
    ).map(partial(_concluded, split=split))
    guesses = {Key(*key[1:]): guess for key, guess in found.items() if key[0] == _SAMPLE}
    wide = statistics_of_wide(cluster, parts, usable, split, guesses)
    statistics = {level: _level(level, width, found, wide, split) for level in split.sizes}
    devices = [found[_DEVICES, number] for number, _ in parts]
    if Level.DEVICE in usable.levels:
        statistics[Level.DEVICE] = np.concatenate([each for each, _ in devices])
    return Estimated(
        baseline_set(plan, settings, statistics, (grouping, members), usable.profile), sum(kept for _, kept in devices)
    )


def _surveyed(part: Numbered, usable: Usable, split: Split) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """All that one look at a part can say: what its devices come to, samples of wide groups, all values of small ones."""
    number, table = part
    bounds = table.device_bounds
    work = np.empty((2, int(np.diff(bounds).max(initial=0)) + 1))
    devices = np.full((len(table.plan.features), len(bounds) - 1, 4), np.nan)
    codes = usable.codes(table, table.rows)
    wide = {level: split.wide(level, code) for level, code in codes.items() if level in split.share}
    shelves = [shelf for level, code in codes.items() for shelf in split.shelved(level, code)]
    for place, column in enumerate(usable.columns(table)):
        group_statistics(column, _NO_ORDER, bounds, devices[place], work)
        for level, code in wide.items():
            yield (_SAMPLE, place, level), sample(column, code, split.share[level], number)
        for shelf in shelves:
            yield (_VALUES, place, shelf.level, shelf.number), (shelf.group, shelf.count, column[shelf.rows])
    yield (_DEVICES, number), (devices.transpose(1, 2, 0), int(usable.kept_out.rows(table).sum()))


def _concluded(key: tuple[Any, ...], found: Sequence[Any], split: Split) -> Any:
    """What follows from what all parts say under one key."""
    if key[0] == _DEVICES:
        return found[0]
    if key[0] == _SAMPLE:
        return guessed(found, split.groups(key[2]))
    return _of_values(found, *split.range_of(key[2], key[3]))


def _of_values(found: Sequence[tuple[Codes, Codes, Floats]], first: int, end: int) -> Floats:
    """Statistics of the groups from code `first` to before `end`, shape (groups, 4), from all values in the table's order."""
    groups, counts, values = zip(*found, strict=True)
    group = np.concatenate([np.repeat(each, count) for each, count in zip(groups, counts, strict=True)])
    order, bounds = rows_by_group((group - first).astype(np.int32), end - first)
    work = np.empty((2, int(np.diff(bounds).max(initial=0)) + 1))
    statistics = np.full((end - first, 4), np.nan)
    group_statistics(np.concatenate(values), order, bounds, statistics, work)
    return statistics


def _level(level: Level, width: int, found: Mapping[tuple[Any, ...], Any], wide: Mapping[Key, Floats], split: Split) -> Floats:
    """A level's statistics of shape (groups, 4, features)."""
    statistics: npt.NDArray[np.float64] = np.full((split.groups(level), 4, width), np.nan)
    statistics[:, 3] = 0.0
    for place in range(width):
        if level in split.share:
            which = ~split.small[level]
            statistics[which, :, place] = wide[Key(place, level)][which]
        for shelf in split.shelves_of(level):
            first, end = split.range_of(level, shelf)
            which = np.flatnonzero(split.small[level][first:end])
            if (key := (_VALUES, place, level, shelf)) in found:
                statistics[first + which, :, place] = found[key][which]
    return statistics
