"""Statistics of groups too large to be moved: medians from brackets, which a sample of each group gives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Level
from server.engines.spark.cluster import Cluster
from server.engines.spark.groups import Split
from server.engines.spark.usable import Numbered, Usable
from server.kernels.brackets import bracket, inside, median_inside
from server.pipeline.baselines import Codes, Floats

Ints = npt.NDArray[np.int64]
_Inside = tuple[Ints, Ints, Floats, Codes, Floats]
_NOTHING = np.empty(0)
_MOVED = 1 / 4
"""Of a wide group's values so many lie inside its bracket, or fewer."""


class Key(NamedTuple):
    """A feature by its place, and a level."""

    place: int
    level: Level


@dataclass(frozen=True, slots=True)
class Brackets:
    """Between which values to look for each group's median; around `centre`, if there is one, for that of distances from it."""

    low: Floats
    high: Floats
    centre: Floats


@dataclass(frozen=True, slots=True)
class Guess:
    """What a sample says of each group: its median, brackets of the true one, and of the median distance from the sample's."""

    median: Floats
    middle: Brackets
    spread: Brackets

    def around(self, centre: Floats) -> Brackets:
        """Brackets of the median distance from the true median: no distance changes by more than the median is off."""
        off = np.nan_to_num(np.abs(centre - self.median))
        return Brackets(self.spread.low - off, self.spread.high + off, centre)


def guessed(samples: Sequence[tuple[Codes, Floats]], groups: int) -> Guess:
    """What the samples of all parts say together."""
    group, value = (np.concatenate(each) for each in zip(*samples, strict=True))
    size = np.bincount(group, minlength=groups)
    median, _ = median_inside(size, np.zeros_like(size), group, value)
    low, high = bracket(group, value, groups)
    near, far = bracket(group, np.abs(value - median[group]), groups)
    return Guess(median, Brackets(low, high, _NOTHING), Brackets(near, far, _NOTHING))


def statistics_of_wide(
    cluster: Cluster, parts: Sequence[Numbered], usable: Usable, split: Split, guesses: Mapping[Key, Guess]
) -> dict[Key, Floats]:
    """Statistics of shape (groups, 4) by feature and level; those of small groups mean nothing."""
    look = partial(_medians, cluster, parts, usable, split)
    middle = look({key: guess.middle for key, guess in guesses.items()})
    spread = look({key: guess.around(middle[key].median) for key, guess in guesses.items()})
    return {key: _statistics(middle[key], spread[key]) for key in guesses}


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
    cluster: Cluster, parts: Sequence[Numbered], usable: Usable, split: Split, brackets: Mapping[Key, Brackets]
) -> dict[Key, _Median]:
    """The medians inside the brackets; those of brackets that missed are looked for among all values."""
    found = _looked(cluster, parts, usable, split, brackets)
    missed = {key: each.missed for key, each in found.items() if each.missed.any()}
    wider = {key: _only(brackets[key], which) for key, which in missed.items()}
    for key, again in _looked(cluster, parts, usable, split, wider).items():
        found[key] = replace(found[key], median=np.where(missed[key], again.median, found[key].median))
    return found


def _looked(
    cluster: Cluster, parts: Sequence[Numbered], usable: Usable, split: Split, brackets: Mapping[Key, Brackets]
) -> dict[Key, _Median]:
    if not brackets:
        return {}
    rows = int(split.sizes[Level.GLOBAL].sum())
    work = partial(_inside, usable=usable, split=split, brackets=brackets)
    return cluster.by_key(work, parts, keys=len(brackets), moved=int(rows * len(brackets) * 12 * _MOVED)).map(_median)


def _only(brackets: Brackets, groups: npt.NDArray[np.bool_]) -> Brackets:
    """Everything for those groups, nothing for the others."""
    return replace(brackets, low=np.where(groups, -np.inf, np.inf), high=np.where(groups, np.inf, -np.inf))


def _inside(part: Numbered, usable: Usable, split: Split, brackets: Mapping[Key, Brackets]) -> Iterator[tuple[Key, _Inside]]:
    _, table = part
    codes = {level: split.wide(level, code) for level, code in usable.codes(table, table.rows).items() if level in split.share}
    for place, column in enumerate(usable.columns(table)):
        for level, code in codes.items():
            if (key := Key(place, level)) in brackets:
                wanted = brackets[key]
                yield key, inside(column, code, wanted.low, wanted.high, wanted.centre)


def _median(_: Key, found: Sequence[_Inside]) -> _Median:
    counts, belows, totals, groups, values = zip(*found, strict=True)
    count = np.sum(counts, axis=0)
    median, missed = median_inside(count, np.sum(belows, axis=0), np.concatenate(groups), np.concatenate(values))
    return _Median(median, count, np.sum(totals, axis=0), missed)
