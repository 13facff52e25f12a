"""Robust z-scores: each row's features against the most specific baseline that has enough rows, shrunk towards its parent.

The only place that makes a `DesignMatrix`, and it takes nothing but a `BaselineSet` or an explicit `RawFallback`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.detectors.base import DesignColumn, DesignMatrix
from server.domain.baseline import Level, Statistic
from server.kernels.zscore import fill_z
from server.pipeline.baselines import BaselineSet, LevelStatistics, RawFallback
from server.pipeline.features import FeaturePlan, device_bounds
from server.pipeline.overlay import moves_of, shift_of, transitions
from server.pipeline.parallel import in_order

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

_KEYS = ("device", "cohort", "store", "customer")
_ROWS_PER_WINDOW = 12
"""Windows overlap, so that many rows carry about as much as one independent one."""
_SIBLINGS_TO_COMPARE = 5
_SCALE_PRIOR_WINDOWS = 2.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is typical for each group of rows: centre, scale, the level it rests on and its n; shape (groups, features)."""

    centre: Floats
    scale: Floats
    level: npt.NDArray[np.int8]
    """Index into `BaselineSet.levels`."""
    n: Floats
    level_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """How many windows of its own a group of a level needs to count as much as its parent; per feature."""

    windows: Floats
    typical_scale: Floats


class Normalizer:
    """Turns features into z-scores under one set of baselines. Cheap to make; holds no rows."""

    def __init__(self, baselines: BaselineSet) -> None:
        self._baselines = baselines
        parents = (None, *baselines.levels)
        self._moves = moves_of(baselines)
        self._transitions = transitions(self._moves)
        self._shrinkage = [_shrinkage(level, parent) for level, parent in zip(baselines.levels, parents, strict=False)]

    def expect(self, codes: dict[Level, Codes], time: Rows | None = None, *, narrowest: Level = Level.DEVICE) -> Expectation:
        """What is typical for rows with those group codes (-1 for none), down to the narrowest level allowed.

        Adjustments that begin after a row's `time` do not move it; without `time`, all have settled.
        """
        allowed = list(Level)[: list(Level).index(narrowest) + 1]
        groups = len(codes[Level.GLOBAL])
        features = len(self._baselines.features)
        found = Expectation(
            np.zeros((groups, features)),
            np.ones((groups, features)),
            np.zeros((groups, features), np.int8),
            np.zeros((groups, features)),
        )
        for index, (level, shrinkage) in enumerate(zip(self._baselines.levels, self._shrinkage, strict=True)):
            code = codes[level.level]
            if level.level in allowed:
                found = _narrow(found, index, level, shrinkage, code, level.min_rows or self._baselines.min_rows)
        # an approved adjustment moves every row of its group, whichever level the row's own statistics rest on
        shift = shift_of(self._moves, codes, time, features)
        return Expectation(found.centre + shift, found.scale, found.level, found.n)

    def codes(self, block: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> dict[Level, Codes]:
        """Group codes of those rows of a block, by level."""
        grouping = self._baselines.grouping
        cohort = block.column("cohort").to_numpy()[rows]
        place = block.column(grouping.site_key).to_numpy()[rows]
        return {
            Level.GLOBAL: np.zeros(len(rows), np.int32),
            Level.COHORT: cohort,
            Level.SITE: grouping.site_codes(cohort, place) if grouping.sites else np.full(len(rows), -1, np.int32),
            Level.DEVICE: block.column("device").to_numpy()[rows],
        }

    def matrix(self, block: pa.RecordBatch) -> DesignMatrix:
        """The block's design matrix: every feature against its own level, then every mean against its cohort."""
        starts, segment = _segments(block, self._transitions)
        codes, time = self.codes(block, starts), block.column("time").to_numpy()[starts]
        own, cohort = self.expect(codes, time), self.expect(codes, time, narrowest=Level.COHORT)
        columns = design_columns(self._baselines.plan)
        means = len(self._baselines.plan.metrics)
        z = np.empty((block.num_rows, len(columns)), np.float32)
        deviation, cell = self._profile(block)
        names = [feature.name for feature in self._baselines.features]
        # a few features at a time: a copy of all of them would be the largest thing that scoring holds
        for first in range(0, len(names), means):
            some = slice(first, first + means)
            features = np.stack([block.column(name).to_numpy() for name in names[some]])
            centre, scale, expected = (np.ascontiguousarray(part[:, some]) for part in (own.centre, own.scale, deviation))
            fill_z(features, segment, centre, scale, expected, cell, z[:, some])
            if first == 0:
                fill_z(features, segment, cohort.centre, cohort.scale, expected, cell, z[:, len(names) :])
        return design_matrix(block, columns, z)

    def expectation(self, block: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> Expectation:
        """What was typical for those rows of a block at their hour; shape (rows, columns of the design matrix)."""
        chosen = block.select([*_KEYS, "time"]).take(pa.array(rows))
        starts, segment = _segments(chosen, self._transitions)
        found = self.design_expectation(self.codes(chosen, starts), chosen.column("time").to_numpy()[starts])
        deviation, cell = self._profile(chosen)
        expected, means = deviation[cell], len(self._baselines.plan.metrics)
        centre = found.centre[segment] + np.concatenate([expected, expected[:, :means]], axis=1)
        return replace(found, centre=centre, scale=found.scale[segment], level=found.level[segment], n=found.n[segment])

    def gaps(self, block: pa.RecordBatch, features: Rows) -> tuple[Floats, Floats]:
        """How far those features (by index) lie from what is typical for each row, and over their scale; (rows, features)."""
        starts, segment = _segments(block, self._transitions)
        own = self.expect(self.codes(block, starts), block.column("time").to_numpy()[starts])
        deviation, cell = self._profile(block)
        values = np.stack([block.column(self._baselines.features[feature].name).to_numpy() for feature in features], axis=1)
        gap = values - own.centre[:, features][segment] - deviation[:, features][cell]
        return gap, gap / own.scale[:, features][segment]

    def design_expectation(self, codes: dict[Level, Codes], time: Rows | None = None) -> Expectation:
        """What is typical for rows with those group codes, whatever the hour; shape (rows, columns of the design matrix)."""
        own, cohort = self.expect(codes, time), self.expect(codes, time, narrowest=Level.COHORT)
        means = len(self._baselines.plan.metrics)

        def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
            return np.concatenate([left, right[:, :means]], axis=1)

        return Expectation(
            beside(own.centre, cohort.centre),
            beside(own.scale, cohort.scale),
            beside(own.level, cohort.level),
            beside(own.n, cohort.n),
            tuple(level.level.value for level in self._baselines.levels),
        )

    def _profile(self, block: pa.RecordBatch) -> tuple[Floats, Codes]:
        profile = self._baselines.profile
        if profile is None:
            return np.zeros((1, len(self._baselines.features))), np.zeros(block.num_rows, np.int32)
        return profile.deviation, profile.cell(block.column("time").to_numpy(), block.column("cohort").to_numpy())


def normalize(
    blocks: Iterable[pa.RecordBatch], baselines: BaselineSet | RawFallback, *, threads: int = 1
) -> Iterator[DesignMatrix]:
    """Each block's design matrix, in order. Under a `RawFallback` the columns are the raw features and say so."""
    if isinstance(baselines, RawFallback):
        return in_order(partial(raw_matrix, fallback=baselines), blocks, threads)
    return in_order(Normalizer(baselines).matrix, blocks, threads)


def design_columns(plan: FeaturePlan) -> tuple[DesignColumn, ...]:
    """Columns of every design matrix under a plan."""
    own = (DesignColumn(feature.metric, feature.statistic, Level.DEVICE) for feature in plan.features)
    return (*own, *(DesignColumn(metric, Statistic.MEAN, Level.COHORT) for metric in plan.metrics))


def design_matrix(
    block: pa.RecordBatch, columns: tuple[DesignColumn, ...], z: npt.NDArray[np.float32], fallback: str = ""
) -> DesignMatrix:
    """A design matrix with the block's keys."""
    keys = {key: block.column(key).to_numpy(zero_copy_only=False) for key in ("time", "device", "cohort", "reference")}
    return DesignMatrix(columns, z, device_bounds(block), **keys, fallback=fallback)


def raw_matrix(block: pa.RecordBatch, fallback: RawFallback) -> DesignMatrix:
    features = fallback.plan.features
    columns = tuple(DesignColumn(feature.metric, feature.statistic, Level.DEVICE) for feature in features)
    z = np.stack([block.column(feature.name).to_numpy() for feature in features], axis=1).astype(np.float32)
    return design_matrix(block, columns, z, fallback.reason)


def _segments(block: pa.RecordBatch, transitions: Sequence[tuple[int, int]]) -> tuple[Rows, Codes]:
    """First row of each run of rows with the same device, cohort, store, customer and adjustments, and each row's run."""
    keys = [block.column(key).to_numpy() for key in _KEYS]
    begins = np.zeros(block.num_rows, bool)
    begins[:1] = True
    for key in keys:
        begins[1:] |= key[1:] != key[:-1]
    for begin, end in transitions:
        time = block.column("time").to_numpy()
        within = (time >= begin) & (time < end)
        begins[1:] |= within[1:] | within[:-1]
        begins[1:] |= (time[1:] >= end) != (time[:-1] >= end)
    return np.flatnonzero(begins), (np.cumsum(begins) - 1).astype(np.int32)


def _shrinkage(level: LevelStatistics, parent: LevelStatistics | None) -> Shrinkage:
    """Empirical Bayes: the variance within groups over that between them says how far a small group's median can be trusted."""
    known = level.count > 0
    scale = np.where(known, level.scale, np.nan)
    typical = np.ones(scale.shape[1]) if not known.any() else np.nan_to_num(_columnwise_median(scale), nan=1.0)
    if parent is None or known.sum(axis=0).max(initial=0) < _SIBLINGS_TO_COMPARE:
        # too few siblings to tell how alike groups are: each one's own estimate stands
        return Shrinkage(np.zeros(scale.shape[1]), typical)
    median = np.where(known, level.median, np.nan)
    middle = _columnwise_median(median)
    between = (1.4826 * _columnwise_median(np.abs(median - middle))) ** 2
    windows = np.maximum(_columnwise_median(np.where(known, level.count, np.nan)) / _ROWS_PER_WINDOW, 1.0)
    between = np.maximum(between - typical**2 / windows, 0.0)
    ratio = np.divide(typical**2, between, out=np.full(len(between), np.inf), where=between > 0)
    return Shrinkage(np.minimum(np.nan_to_num(ratio, nan=0.0, posinf=np.inf), 25.0), typical)


def _narrow(
    found: Expectation, index: int, level: LevelStatistics, shrinkage: Shrinkage, code: Codes, min_rows: int
) -> Expectation:
    """The expectation with one narrower level taken in where it has enough rows."""
    count = level.count[code]
    counts = (code >= 0)[:, None] & (count >= min_rows)
    windows = count / _ROWS_PER_WINDOW
    if index == 0:
        weight = scale_weight = np.ones_like(count)
    else:
        # a group without a value of the feature has no windows either, and does not count below
        weight = windows / np.maximum(windows + shrinkage.windows, np.finfo(float).tiny)
        scale_weight = windows / (windows + _SCALE_PRIOR_WINDOWS)
    centre = weight * np.nan_to_num(level.median[code]) + (1 - weight) * found.centre
    # scales are blended as ratios: a quiet device among loud ones keeps most of its quiet
    scale = level.scale[code] ** scale_weight * shrinkage.typical_scale ** (1 - scale_weight)
    return Expectation(
        np.where(counts, centre, found.centre),
        np.where(counts, scale, found.scale),
        np.where(counts, np.int8(index), found.level),
        np.where(counts, count, found.n),
    )


def _columnwise_median(values: Floats) -> Floats:
    """Median of each column's finite values, NaN for a column without one."""
    if values.shape[0] == 0:
        return np.full(values.shape[1], np.nan)
    filled = np.sort(values, axis=0)
    count = np.isfinite(values).sum(axis=0)
    middle = np.maximum(count - 1, 0)
    columns = np.arange(values.shape[1])
    return 0.5 * (filled[middle // 2, columns] + filled[(middle + 1) // 2, columns])
