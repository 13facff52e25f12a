"""ECOD: how far out in its own column's distribution each value lies, added up over columns (Li et al. 2022)."""

from dataclasses import dataclass

import numpy as np

from server.detectors.base import DesignMatrix, Detector, Floats, Rows, ScorerState, Singles
from server.detectors.filled import Filled, weights
from server.domain.settings import DetectorSettings

_FIT_ROWS = 10_000
"""They are kept, so that a tail probability down to one in ten thousand is exact."""


@dataclass(frozen=True, slots=True)
class EcodScorer:
    """Sorted values of each column, its weight, and its mean surprisal over the fitted rows."""

    filled: Filled
    sample: Singles
    weight: Floats
    usual: Floats

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: less the summed surprisals of the columns, in nats."""
        return -self._surprisals(matrix.z).sum(axis=1)

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """See `Scorer.explain`: each column's surprisal beyond its mean one, so that a row's credits sum to its excess."""
        return self.filled.spread(self._surprisals(matrix.z[rows]) - self.usual, len(matrix.columns))

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        arrays = {"sample": self.sample, "weight": self.weight, "usual": self.usual}
        return ScorerState({**arrays, "columns": self.filled.columns, "medians": self.filled.medians}, {})

    def _surprisals(self, z: Singles) -> Floats:
        return self.weight * surprisals(self.sample, self.filled.of(z))


class EcodDetector(Detector):
    """PyOD's ECOD, with the fitted rows alone as the distribution: there, a row's score depends on those scored with it.

    Each row scores as PyOD would score it alone. Its step by skewness is left out, as it changes nothing there: the larger
    of both tails' surprisals is taken before.
    """

    name = "ecod"

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> EcodScorer:
        """See `Detector.fit`."""
        filled, values = Filled.fit(reference, settings, _FIT_ROWS)
        sample, weight = np.sort(values, axis=0), weights(reference, filled.columns, settings)
        return EcodScorer(filled, sample, weight, weight * surprisals(sample, values).mean(axis=0))

    def restore(self, state: ScorerState) -> EcodScorer:
        """See `Detector.restore`."""
        arrays = state.arrays
        return EcodScorer(Filled(arrays["columns"], arrays["medians"]), arrays["sample"], arrays["weight"], arrays["usual"])


def surprisals(sample: Singles, values: Singles) -> Floats:
    """-log of the smaller tail of each value among a column's sorted sample and itself; shape (rows, columns)."""
    found, size = np.empty(values.shape), len(sample)
    for column in range(values.shape[1]):
        own, value = sample[:, column], values[:, column]
        at_most = np.searchsorted(own, value, "right")
        at_least = size - np.searchsorted(own, value, "left")
        found[:, column] = -np.log((np.minimum(at_most, at_least) + 1) / (size + 1))
    return found
