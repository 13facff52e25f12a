"""Approved adjustments laid over an estimate: whose centre each one moves, and what is left of it under a new estimate.

A level that moved at a moment fills a rolling window only by and by: what is expected of the mean rises over one window, and
what is expected of its spread and of its change rises and falls again. So the step itself is explained, not only what follows.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Adjustment, Level, Statistic

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
    """What an adjustment does to one feature, in codes of one baseline set; times in microseconds since 1970 UTC.

    `statistic` says how a step of `amount` shows: at once filled in a level, passing in a change and in a spread.
    """

    level: Level
    group: int
    feature: int
    statistic: Statistic
    amount: float
    since: int
    """The smallest integer for always."""
    window: int
    lag: int
    spread: float = 0.0
    """What is typical of the group's spread where there is no step."""

    @property
    def settled(self) -> int:
        """From when on what it adds stays the same."""
        return self.since if self.since == _ALWAYS else self.since + self.window + self.lag

    @property
    def last(self) -> float:
        """What it adds once it has settled."""
        return self.amount if self.statistic is Statistic.MEAN else 0.0

    def at(self, time: Times) -> Floats:
        """What it adds at those times."""
        if self.since == _ALWAYS:
            return np.full(len(time), self.last)
        filled = self._filled(time)
        if self.statistic is Statistic.MEAN:
            return self.amount * filled
        if self.statistic is Statistic.CHANGE:
            return self.amount * (filled - self._filled(time - self.lag))
        # a window of which a share f lies after a step has the variance of the rest, and f (1 - f) times the squared step
        return np.sqrt(self.spread**2 + filled * (1.0 - filled) * self.amount**2) - self.spread

    def _filled(self, time: Times) -> Floats:
        return np.clip((time - self.since) / self.window, 0.0, 1.0)


def moves_of(baselines: "BaselineSet") -> tuple[Move, ...]:
    """The set's adjustments by code. One of a group or feature that the set does not have moves nothing, and is left out."""
    moves = tuple(move for each in baselines.adjustments for move in _moves(each, baselines))
    return (*moves, *_steps(moves, baselines))


def _moves(adjustment: Adjustment, baselines: "BaselineSet") -> Iterator[Move]:
    feature = {each.name: index for index, each in enumerate(baselines.features)}
    groups = next((level.groups for level in baselines.levels if level.level is adjustment.level), ())
    if adjustment.feature in feature and adjustment.group in groups:
        yield Move(
            adjustment.level,
            groups.index(adjustment.group),
            feature[adjustment.feature],
            Statistic.MEAN,
            adjustment.amount,
            _since(adjustment),
            baselines.plan.window // _MICROSECOND,
            baselines.plan.lag // _MICROSECOND,
        )


def _steps(moves: Sequence[Move], baselines: "BaselineSet") -> Iterator[Move]:
    """How the steps of approved levels show in changes and spreads of their metrics; together, as spreads do not add."""
    statistics = {level.level: level for level in baselines.levels}
    by_name = {each.name: index for index, each in enumerate(baselines.features)}
    for own in _of_one_step(move for move in moves if baselines.features[move.feature].statistic is Statistic.MEAN):
        step = replace(own[0], amount=sum(move.amount for move in own))
        metric = baselines.features[step.feature].metric.name
        yield replace(step, statistic=Statistic.CHANGE, feature=by_name[f"{metric}_{Statistic.CHANGE.value}"])
        spread = by_name[f"{metric}_{Statistic.STD.value}"]
        typical = float(np.nan_to_num(statistics[step.level].median[step.group, spread]))
        yield replace(step, statistic=Statistic.STD, feature=spread, spread=max(typical, 0.0))


def _of_one_step(moves: Iterable[Move]) -> Iterator[list[Move]]:
    """Moves of one group's level whose onsets lie within one window of the first of them: further parts of the same step."""
    begun = sorted((move for move in moves if move.since != _ALWAYS), key=_place)
    own: list[Move] = []
    for move in begun:
        if own and (_place(move)[:3] != _place(own[0])[:3] or move.since > own[0].since + move.window):
            yield own
            own = []
        own.append(move)
    if own:
        yield own


def _place(move: Move) -> tuple[int, int, int, int]:
    return list(Level).index(move.level), move.group, move.feature, move.since


def transitions(moves: Sequence[Move]) -> tuple[tuple[int, int], ...]:
    """The stretches of time, begin and end, within which what is expected changes from row to row."""
    return tuple(sorted({(move.since, move.settled) for move in moves if move.since != _ALWAYS}))


def shift_of(moves: Sequence[Move], codes: Mapping[Level, Codes], time: Times | None, features: int) -> Floats:
    """What adjustments add to the centre of rows with those group codes (-1 for none) at those times; (rows, features).

    Without `time` every adjustment has settled.
    """
    shift = np.zeros((len(codes[Level.GLOBAL]), features))
    for move in moves:
        moved = codes[move.level] == move.group
        shift[moved, move.feature] += move.last if time is None else move.at(time[moved])
    return shift


def group_shifts(moves: Sequence[Move], groups: int, features: int) -> Floats:
    """What adjustments of one level add to each of its groups once all have settled; shape (groups, features)."""
    shift = np.zeros((groups, features))
    for move in moves:
        shift[move.group, move.feature] += move.last
    return shift


def may_overlap(one: Adjustment, other: Adjustment) -> bool:
    """Whether both may move the same feature of one row; two groups of the same level have no row in common."""
    return one.feature == other.feature and (one.level is not other.level or one.group == other.group)


def origin(adjustment: Adjustment) -> Adjustment:
    """What an adjustment keeps under every estimate: the same approval has the same origin, however much of it is left."""
    return adjustment.model_copy(update={"amount": 0.0, "base_median": 0.0})


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
    if caught_up == 0.0:
        # its base stays where it was approved: a median that wavers would otherwise wear it down, a little at each return
        return adjustment
    return adjustment.model_copy(update={"amount": adjustment.amount * (1.0 - caught_up), "base_median": median})


def _since(adjustment: Adjustment) -> int:
    return _ALWAYS if adjustment.since is None else (adjustment.since - _EPOCH) // _MICROSECOND
