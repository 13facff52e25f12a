"""An Isolation Forest on all columns, grown as scikit-learn grows it and scored in packed form."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.detectors.base import DesignMatrix, Detector, Floats, Rows, ScorerState, Singles, usable_columns, weight
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

    columns: npt.NDArray[np.int64]
    medians: Singles
    forest: PackedForest

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: the forest's own score in [-1, 0)."""
        return self.forest.score(self._filled(matrix.z))

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """See `Scorer.explain`: mean steps by which each column shortened the row's path."""
        credit = np.zeros((len(rows), len(matrix.columns)))
        credit[:, self.columns] = self.forest.attribute(self._filled(matrix.z[rows]))
        return credit

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        forest = self.forest
        arrays = {"columns": self.columns, "medians": self.medians, "feature": forest.feature, "threshold": forest.threshold}
        return ScorerState({**arrays, "path": forest.path}, {"normaliser": forest.normaliser})

    def _filled(self, z: Singles) -> Singles:
        chosen = z[:, self.columns]
        return np.where(np.isnan(chosen), self.medians, chosen)


class IsolationForestDetector(Detector):
    """The forest alone: 300 trees of 256 rows by default, as in the source system. `statistics` are those that it sees."""

    name = "isolation_forest"

    def __init__(self, statistics: tuple[Statistic, ...] = tuple(Statistic)) -> None:
        self._statistics = statistics

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> ForestScorer:
        """See `Detector.fit`."""
        usable = usable_columns(reference, settings)
        columns = np.array([i for i in usable if reference.columns[i].statistic in self._statistics], np.int64)
        fitted = np.flatnonzero(reference.reference)
        rows = fitted[np.unique(np.linspace(0, len(fitted) - 1, min(len(fitted), _FIT_ROWS)).astype(np.int64))]
        chosen = reference.z[np.ix_(rows, columns)]
        medians = np.nanmedian(chosen, axis=0).astype(np.float32)
        filled = np.where(np.isnan(chosen), medians, chosen)
        copies = [max(1, round(_COPIES_AT_WEIGHT_ONE * weight(reference.columns[column], settings))) for column in columns]
        if len(set(copies)) == 1:
            copies = [1] * len(columns)
        drawn = np.repeat(np.arange(len(columns)), copies)
        forest = grow(
            filled[:, drawn],
            drawn.astype(np.uint16),
            trees=settings.n_estimators,
            samples=min(settings.max_samples, len(filled)),
            seed=settings.random_state,
        )
        return ForestScorer(columns, medians, forest)

    def restore(self, state: ScorerState) -> ForestScorer:
        """See `Detector.restore`."""
        arrays = state.arrays
        forest = PackedForest(arrays["feature"], arrays["threshold"], arrays["path"], state.about["normaliser"])
        return ForestScorer(arrays["columns"], arrays["medians"], forest)
