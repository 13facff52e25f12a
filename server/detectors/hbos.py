"""HBOS: how thin the histogram of each column is where the value lies, added up over columns (Goldstein and Dengel 2012)."""

from dataclasses import dataclass

import numpy as np

from server.detectors.base import DesignMatrix, Detector, Floats, Rows, ScorerState, Singles
from server.detectors.filled import FAR, Filled, weights
from server.domain.settings import DetectorSettings

_FIT_ROWS = 50_000
_BINS = 32
_TOLERANCE = 0.5
"""Widths of a bin by which a value may lie outside and still count to the last one (PyOD's default)."""


@dataclass(frozen=True, slots=True)
class HbosScorer:
    """Edges (bins + 1, columns) and rarity (bins, columns) of each column's histogram, its weight and its mean rarity."""

    filled: Filled
    edges: Floats
    rarity: Floats
    weight: Floats
    usual: Floats

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: less the summed rarities of the columns, in bits."""
        return -self._rarities(matrix.z).sum(axis=1)

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """See `Scorer.explain`: each column's rarity beyond its mean one, so that a row's credits sum to its excess."""
        return self.filled.spread(self._rarities(matrix.z[rows]) - self.usual, len(matrix.columns))

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        arrays = {"edges": self.edges, "rarity": self.rarity, "weight": self.weight, "usual": self.usual}
        return ScorerState({**arrays, "columns": self.filled.columns, "medians": self.filled.medians}, {})

    def _rarities(self, z: Singles) -> Floats:
        return self.weight * rarities(self.edges, self.rarity, self.filled.of(z).clip(-FAR, FAR))


class HbosDetector(Detector):
    """PyOD's HBOS on z-scores cut off at 8 scales; its histograms are kept and looked up here."""

    name = "hbos"

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> HbosScorer:
        """See `Detector.fit`."""
        from pyod.models.hbos import HBOS  # noqa: PLC0415 - brings scikit-learn, and only training needs it

        filled, values = Filled.fit(reference, settings, _FIT_ROWS)
        values = values.clip(-FAR, FAR)
        model = HBOS(n_bins=_BINS, tol=_TOLERANCE)
        model.fit(values)
        edges, rarity = np.asarray(model.bin_edges_), -np.log2(np.asarray(model.hist_) + model.alpha)
        weight = weights(reference, filled.columns, settings)
        return HbosScorer(filled, edges, rarity, weight, weight * rarities(edges, rarity, values).mean(axis=0))

    def restore(self, state: ScorerState) -> HbosScorer:
        """See `Detector.restore`."""
        arrays = state.arrays
        rest = (arrays[name] for name in ("edges", "rarity", "weight", "usual"))
        return HbosScorer(Filled(arrays["columns"], arrays["medians"]), *rest)


def rarities(edges: Floats, rarity: Floats, values: Singles) -> Floats:
    """The rarity of the bin that each value is in, or of its column's rarest one where it is in none; (rows, columns)."""
    found, last = np.empty(values.shape), len(rarity) - 1
    for column in range(values.shape[1]):
        own, bound = values[:, column], edges[:, column]
        place = np.clip(np.searchsorted(bound, own, "left") - 1, 0, last)
        slack = _TOLERANCE * np.array([bound[1] - bound[0], bound[-1] - bound[-2]])
        outside = (bound[0] - own > slack[0]) | (own - bound[-1] > slack[1])
        found[:, column] = np.where(outside, rarity[:, column].max(), rarity[place, column])
    return found
