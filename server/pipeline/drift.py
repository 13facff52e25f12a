"""Drift: how far features and scores have moved from what baselines and detector were made of.

PSI (population stability index) is taken on fixed bins: tenths of the reference rows' z-scores under the baseline, by group.
Reference rows are those of the table that the baselines were estimated from, or of the same table before the rows compared.
Where neither is given, the bins are the ten that are equally likely for a normal of the baseline's median and scale; heavy
tails and many equal values then count as drift. Below 0.1 is no drift, from 0.25 on it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from server.detectors.stored import Trained
from server.domain.anomaly import FeatureDrift, ScoreDrift
from server.domain.baseline import Level
from server.domain.telemetry import Members
from server.kernels.medians import rows_by_group
from server.pipeline.baselines import BaselineSet, LevelStatistics
from server.pipeline.overlay import Move, moves_of
from server.pipeline.parallel import in_order
from server.pipeline.profile import cells
from server.pipeline.table import FeatureTable

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

BINS = 10
_NORMAL_EDGES = ndtri(np.arange(1, BINS) / BINS)
_FLOOR = 1e-4
"""An empty bin counts as this share: the logarithm has no value at 0."""


@dataclass(frozen=True)
class _Some:
    """Some rows of a table: which, and the baselines' cohort code and profile cell of each."""

    table: FeatureTable
    rows: Flags
    cohort: Codes
    cell: Codes | None

    def values(self, column: Floats, profile: Floats | None, moves: Sequence[Move]) -> Floats:
        """A feature of these rows without its daily rhythm (`profile`, by cell) and without what was approved at their time."""
        values = column[self.rows]
        if profile is not None and self.cell is not None:
            values = values - profile[self.cell]
        time = self.table.time[self.rows]
        for move in moves:
            own = self.cohort == move.group if move.level is Level.COHORT else np.ones(len(values), bool)
            values = values - np.where(own, move.at(time), 0.0)
        return values

    def by_group(self, values: Floats, level: LevelStatistics) -> list[Floats]:
        """Finite values of a feature of these rows by the level's groups (the fleet, or cohorts), each sorted."""
        if level.level is Level.GLOBAL:
            return [np.sort(values[np.isfinite(values)])]
        order, bounds = self._cohorts
        parts = np.split(values[order], bounds[1:-1])[: len(level.groups)]
        found = [np.sort(part[np.isfinite(part)]) for part in parts]
        return found + [np.empty(0)] * (len(level.groups) - len(found))

    @cached_property
    def _cohorts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows by cohort, and where each cohort's begin: sorted once for all features."""
        order, bounds = rows_by_group(self.cohort, int(self.cohort.max(initial=-1)) + 1)
        return order.astype(np.int64), bounds


def psi(expected: Floats, actual: Floats) -> Floats:
    """Population stability index of shares over the last axis, each floored at 1e-4."""
    wanted, seen = np.maximum(expected, _FLOOR), np.maximum(actual, _FLOOR)
    index: Floats = ((seen - wanted) * np.log(seen / wanted)).sum(axis=-1)
    return index


def psi_between(before: Floats, after: Floats) -> float:
    """Population stability index of values against earlier ones (at least one), both sorted, in the earlier ones' tenths."""
    edges = np.unique(_quantiles(before, np.arange(1, BINS) / BINS))
    return float(psi(shares(before, edges), shares(after, edges)))


def feature_drift(
    table: FeatureTable,
    baselines: BaselineSet,
    *,
    since: int | None = None,
    against: FeatureTable | None = None,
    members: Members | None = None,
    threads: int = 1,
) -> Sequence[FeatureDrift]:
    """Drift of each feature for the fleet and each cohort, the largest PSI first.

    Compares rows from `since` on (microseconds since 1970 UTC; all rows if unset). `against` is the table that the baselines
    were estimated from. `members` names the table's cohort codes, needed where it is of another snapshot than the baselines.
    Groups with fewer than `min_rows` values, now or in the baseline, are left out. Approved adjustments count as baseline,
    each from its onset on.
    """
    recent = np.ones(table.rows, bool) if since is None else table.time >= since
    current = _some(table, recent, baselines, members)
    reference = None
    if against is not None:
        reference = _some(against, against.reference, baselines, None)
    elif since is not None:
        reference = _some(table, ~recent & table.reference, baselines, members)
    work = partial(_one_feature, current=current, reference=reference, baselines=baselines)
    found = [drift for drifts in in_order(work, range(len(baselines.features)), threads) for drift in drifts]
    return sorted(found, key=lambda drift: (-drift.psi, drift.feature, drift.level, drift.group))


def score_drift(scores: Floats, trained: Trained) -> ScoreDrift:
    """Drift of scores against those of the detector's reference rows.

    Bins are tenths of the reference scores. `expected_share` is the share of reference rows below the threshold, which is the
    contamination (or the budget) that it was calibrated to.

    Scores that are not finite are left out; with none left, PSI and shares are 0.
    """
    scores = scores[np.isfinite(scores)]
    reference = trained.reference_scores
    expected_share = float(np.mean(reference < trained.threshold))
    if len(scores) == 0:
        return ScoreDrift(psi=0.0, share_flagged=0.0, expected_share=expected_share, median_shift=0.0, n=0)
    low, middle, high = _quantiles(reference, np.array([0.25, 0.5, 0.75]))
    return ScoreDrift(
        psi=psi_between(reference, np.sort(scores)),
        share_flagged=float(np.mean(scores < trained.threshold)),
        expected_share=expected_share,
        median_shift=float((np.median(scores) - middle) / max(high - low, np.finfo(float).tiny)),
        n=len(scores),
    )


def _some(table: FeatureTable, rows: Flags, baselines: BaselineSet, members: Members | None) -> _Some:
    cohort = table.key("cohort")[rows]
    if members is not None:
        place = {name: code for code, name in enumerate(baselines.grouping.cohorts)}
        code = [*(place.get(" / ".join(one), -1) for one in members.cohorts), -1]
        cohort = np.array(code, np.int32)[cohort]
    cell = cells(table.time[rows], cohort, baselines.profile.hours) if baselines.profile else None
    return _Some(table, rows, cohort, cell)


def _one_feature(index: int, current: _Some, reference: _Some | None, baselines: BaselineSet) -> list[FeatureDrift]:
    name = baselines.features[index].name
    profile = baselines.profile.deviation[:, index] if baselines.profile else None
    # of single devices and sites too little is moved to tell for a cohort
    moves = [move for move in moves_of(baselines) if move.feature == index and move.level in (Level.GLOBAL, Level.COHORT)]
    column = current.table.column(name)
    values = current.values(column, profile, moves)
    before = np.empty(0)
    if reference is not None:
        same = reference.table is current.table
        before = reference.values(column if same else reference.table.column(name), profile, moves)
    found: list[FeatureDrift] = []
    for level in (level for level in baselines.levels if level.level in (Level.GLOBAL, Level.COHORT)):
        groups = len(level.groups)
        now = current.by_group(values, level)
        then = reference.by_group(before, level) if reference else [before] * groups
        for group in range(groups):
            if min(len(now[group]), level.count[group, index]) >= baselines.min_rows:
                centre, scale = level.median[group, index], level.scale[group, index]
                was = (then[group] - centre) / scale if len(then[group]) >= baselines.min_rows else None
                found.append(_drift(name, level, group, (now[group] - centre) / scale, was))
    return found


def _drift(name: str, level: LevelStatistics, group: int, z: Floats, was: Floats | None) -> FeatureDrift:
    """Drift of sorted z-scores against sorted ones of the reference."""
    index = psi(np.full(BINS, 1 / BINS), shares(z, _NORMAL_EDGES)) if was is None else psi_between(was, z)
    shift = float(_quantiles(z, np.array([0.5]))[0])
    return FeatureDrift(
        feature=name, level=level.level, group=level.groups[group], psi=float(index), median_shift=shift, n=len(z)
    )


def shares(values: Floats, edges: Floats) -> Floats:
    """Share of sorted values in each bin; a value on an edge is in the bin above it."""
    below = np.searchsorted(values, edges, "left")
    return np.diff(below, prepend=0, append=len(values)) / max(len(values), 1)


def _quantiles(values: Floats, levels: Floats) -> Floats:
    """Quantiles of sorted values, at least one, interpolated as by `numpy.quantile`, which would sort them once more."""
    at = levels * (len(values) - 1)
    low = np.floor(at).astype(np.int64)
    lower, upper = values[low], values[np.ceil(at).astype(np.int64)]
    found: Floats = lower + (at - low) * (upper - lower)
    return found
