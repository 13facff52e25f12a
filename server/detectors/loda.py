"""LODA: how thin the histograms of random sparse projections are where a row lies, averaged (Pevny 2016)."""

from dataclasses import dataclass

import numpy as np

from server.detectors.base import DesignMatrix, Detector, Floats, Rows, ScorerState, Singles
from server.detectors.filled import FAR, Filled, weights
from server.domain.settings import DetectorSettings
from server.kernels.projections import project_surprisals

_FIT_ROWS = 50_000
_BINS = 32
_CUTS = 100


@dataclass(frozen=True, slots=True)
class LodaScorer:
    """Projections (cuts, columns) with each cut's bin edges and the surprisal of its bins, in nats."""

    filled: Filled
    weight: Floats
    projections: Floats
    edges: Floats
    surprisal: Floats

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: less the mean surprisal over projections."""
        return -self._surprisals(matrix.z).mean(axis=1)

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """LODA's own attribution: Welch's t between the surprisals of the projections that use a column and of the others.

        One-tailed, so 0 where a column did not raise the score. It ranks columns; a mean over projections has no exact split.
        """
        found = self._surprisals(matrix.z[rows])
        return self.filled.spread(column_statistics(found, self.projections != 0).clip(0.0), len(matrix.columns))

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        arrays = {"projections": self.projections, "edges": self.edges, "surprisal": self.surprisal, "weight": self.weight}
        return ScorerState({**arrays, "columns": self.filled.columns, "medians": self.filled.medians}, {})

    def _surprisals(self, z: Singles) -> Floats:
        values = scaled(self.filled.of(z), self.weight)
        found = np.empty((len(values), len(self.projections)))
        project_surprisals(values, self.projections, self.edges, self.surprisal, found)
        return found


class LodaDetector(Detector):
    """PyOD's LODA on z-scores cut off at 8 scales; its projections and histograms are kept and looked up here.

    PyOD looks up the bin after the one that a value lies in (3.6, `limits_[:n_bins - 1]`); here it is the value's own.
    """

    name = "loda"

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> LodaScorer:
        """See `Detector.fit`."""
        from pyod.models.loda import LODA  # noqa: PLC0415 - brings scikit-learn, and only training needs it

        filled, values = Filled.fit(reference, settings, _FIT_ROWS)
        weight = weights(reference, filled.columns, settings)
        model = LODA(n_bins=_BINS, n_random_cuts=_CUTS, random_state=settings.random_state)
        model.fit(scaled(values, weight))
        return LodaScorer(filled, weight, model.projections_, np.asarray(model.limits_), -np.log(model.histograms_))

    def restore(self, state: ScorerState) -> LodaScorer:
        """See `Detector.restore`."""
        arrays = state.arrays
        rest = (arrays[name] for name in ("weight", "projections", "edges", "surprisal"))
        return LodaScorer(Filled(arrays["columns"], arrays["medians"]), *rest)


def scaled(values: Singles, weight: Floats) -> Singles:
    """Values cut off and weighted: a heavier column has more say in each projection that it is part of."""
    return values.clip(-FAR, FAR) * weight.astype(np.float32)


def column_statistics(surprisals: Floats, used: np.ndarray) -> Floats:
    """Welch's t by row and column of surprisals (rows, cuts) with and without the column, as `used` (cuts, columns) says."""
    with_it, without = used.astype(np.float64), (~used).astype(np.float64)
    means: list[Floats] = []
    errors: list[Floats] = []
    for member in (with_it, without):
        count = np.maximum(member.sum(axis=0), 1.0)
        mean = surprisals @ member / count
        square = np.maximum((surprisals**2) @ member / count - mean**2, 0.0)
        means.append(mean)
        errors.append(square / np.maximum(count - 1.0, 1.0))
    both = (used.any(axis=0) & ~used.all(axis=0)) | (used.shape[1] == 1)
    return np.where(both, (means[0] - means[1]) / np.sqrt(np.maximum(errors[0] + errors[1], np.finfo(float).tiny)), 0.0)
