"""Approved adjustments laid over an estimate: whose centre each one moves, and what is left of it under a new estimate."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Adjustment, Level

if TYPE_CHECKING:
    from server.pipeline.baselines import BaselineSet

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ALWAYS = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Move:
    """An adjustment as codes of one baseline set; `since` in microseconds since 1970 UTC, the smallest integer for always."""

    level: Level
    group: int
    feature: int
    amount: float
    since: int


def moves_of(baselines: "BaselineSet") -> tuple[Move, ...]:
    """The set's adjustments by code. One of a group or feature that the set does not have moves nothing, and is left out."""
    feature = {each.name: index for index, each in enumerate(baselines.features)}
    group = {level.level: {name: code for code, name in enumerate(level.groups)} for level in baselines.levels}
    return tuple(
        Move(each.level, group[each.level][each.group], feature[each.feature], each.amount, _since(each))
        for each in baselines.adjustments
        if each.feature in feature and each.group in group.get(each.level, {})
    )


def beginnings(moves: Sequence[Move]) -> Times:
    """The moments at which adjustments begin to count, sorted."""
    return np.array(sorted({move.since for move in moves if move.since != _ALWAYS}), np.int64)


def shift_of(moves: Sequence[Move], codes: Mapping[Level, Codes], time: Times | None, features: int) -> Floats:
    """What adjustments add to the centre of rows with those group codes (-1 for none) at those times; (rows, features).

    Without `time` every adjustment has begun.
    """
    shift = np.zeros((len(codes[Level.GLOBAL]), features))
    for move in moves:
        moved = codes[move.level] == move.group
        if time is not None and move.since != _ALWAYS:
            moved &= time >= move.since
        shift[moved, move.feature] += move.amount
    return shift


def group_shifts(moves: Sequence[Move], groups: int, features: int) -> Floats:
    """What adjustments of one level add to each of its groups once all have begun; shape (groups, features)."""
    shift = np.zeros((groups, features))
    for move in moves:
        shift[move.group, move.feature] += move.amount
    return shift


def reapplied(adjustments: Sequence[Adjustment], estimate: "BaselineSet") -> tuple[Adjustment, ...]:
    """The same adjustments over another estimate: less of each where the group's own median has moved the same way.

    All adjustments of one group and feature are scaled alike, so that together they reach no farther than the centre that was
    approved. On the estimate that they were made for, nothing changes. One whose group or feature has no median there is kept
    as it is: the group may come back.
    """
    known = moves_of(replace(estimate, adjustments=tuple(adjustments)))
    statistics = {level.level: level for level in estimate.levels}
    median = {
        (move.level, statistics[move.level].groups[move.group], estimate.features[move.feature].name): float(
            statistics[move.level].median[move.group, move.feature]
        )
        for move in known
    }
    total: dict[tuple[Level, str, str], float] = defaultdict(float)
    for each in adjustments:
        total[each.level, each.group, each.feature] += each.amount
    return tuple(_left(each, median.get((each.level, each.group, each.feature)), total) for each in adjustments)


def _left(adjustment: Adjustment, median: float | None, total: Mapping[tuple[Level, str, str], float]) -> Adjustment:
    if median is None or not np.isfinite(median):
        return adjustment
    whole = total[adjustment.level, adjustment.group, adjustment.feature]
    caught_up = 0.0 if whole == 0 else min(max((median - adjustment.base_median) / whole, 0.0), 1.0)
    return adjustment.model_copy(update={"amount": adjustment.amount * (1.0 - caught_up), "base_median": median})


def _since(adjustment: Adjustment) -> int:
    return _ALWAYS if adjustment.since is None else (adjustment.since - _EPOCH) // _MICROSECOND
