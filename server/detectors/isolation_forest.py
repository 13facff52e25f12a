"""An Isolation Forest on all columns, grown as scikit-learn grows it and scored in packed form."""

from dataclasses import dataclass

import numpy as np

from server.detectors.base import DesignMatrix, Detector, Floats, Rows, ScorerState
from server.detectors.filled import Filled, weights
from server.domain.baseline import Statistic
from server.domain.settings import DetectorSettings
from server.kernels.forest import PackedForest
from server.kernels.grown_forest import grow

_COPIES_AT_WEIGHT_ONE = 4
"""A split draws its column at random, so a domain's weight is how many copies of its columns are in the draw: in quarters."""
_FIT_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class ForestScorer:
    """A packed forest over some of the design matrix's columns; missing values take the column's median."""

    filled: Filled
    forest: PackedForest

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: the forest's own score in [-1, 0)."""
        return self.forest.score(self.filled.of(matrix.z))

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """See `Scorer.explain`: mean steps by which each column shortened the row's path."""
        return self.filled.spread(self.forest.attribute(self.filled.of(matrix.z[rows])), len(matrix.columns))

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        forest = self.forest
        arrays = {"feature": forest.feature, "threshold": forest.threshold, "path": forest.path}
        known = {"columns": self.filled.columns, "medians": self.filled.medians}
        return ScorerState({**known, **arrays}, {"normaliser": forest.normaliser})


class IsolationForestDetector(Detector):
    """The forest alone: 300 trees of 256 rows by default, as in the source system. `statistics` are those that it sees."""

    name = "isolation_forest"

    def __init__(self, statistics: tuple[Statistic, ...] = tuple(Statistic)) -> None:
        self._statistics = statistics

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> ForestScorer:
        """See `Detector.fit`."""
        filled, values = Filled.fit(reference, settings, _FIT_ROWS, self._statistics)
        copies = [max(1, round(_COPIES_AT_WEIGHT_ONE * each)) for each in weights(reference, filled.columns, settings)]
        if len(set(copies)) == 1:
            copies = [1] * len(copies)
        drawn = np.repeat(np.arange(len(copies)), copies)
        forest = grow(
            values[:, drawn],
            drawn.astype(np.uint16),
            trees=settings.n_estimators,
            samples=min(settings.max_samples, len(values)),
            seed=settings.random_state,
        )
        return ForestScorer(filled, forest)

    def restore(self, state: ScorerState) -> ForestScorer:
        """See `Detector.restore`."""
        arrays = state.arrays
        forest = PackedForest(arrays["feature"], arrays["threshold"], arrays["path"], state.about["normaliser"])
        return ForestScorer(Filled(arrays["columns"], arrays["medians"]), forest)
