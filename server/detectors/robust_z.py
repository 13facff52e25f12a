"""Absolute robust z-scores, added up over metrics: deterministic, and moved by a baseline change at any level."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.detectors.base import DesignColumn, DesignMatrix, Detector, Floats, Rows, ScorerState, usable_columns, weight
from server.domain.baseline import Level, Statistic
from server.domain.settings import DetectorSettings
from server.domain.telemetry import HarmfulDirection
from server.kernels.evidence import add_evidence

_HALF_WIDTH = 5.0
"""Robust scales at which evidence turns from quadratic to logarithmic."""
_HARMLESS = 2.0
"""A move in the direction that does no harm counts as if it were this much smaller."""
POWER = 1.5


@dataclass(frozen=True, slots=True)
class RobustZScorer:
    """Evidence of chosen columns, the strongest of each metric."""

    metric_of: npt.NDArray[np.int64]
    """Metric code of each column of the design matrix, -1 for columns that are not used."""
    below: Floats
    above: Floats
    weight: Floats

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: less the evidence, so 0 is perfectly typical."""
        return -self._evidence(matrix.z, np.empty((0, 0)))

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """See `Scorer.explain`: each metric's part of the evidence, at its strongest column."""
        credit = np.zeros((len(rows), len(matrix.columns)))
        self._evidence(matrix.z[rows], credit)
        return credit

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        return ScorerState({"metric_of": self.metric_of, "below": self.below, "above": self.above, "weight": self.weight}, {})

    def _evidence(self, z: npt.NDArray[np.float32], credit: Floats) -> Floats:
        total = np.empty(len(z))
        add_evidence(z, self.metric_of, (self.below, self.above), self.weight, POWER, total, credit)
        return total


class RobustZDetector(Detector):
    """Absolute z-scores against the row's own level.

    `statistics` are those that speak: level, spread and change unless told otherwise.
    """

    name = "robust_z"

    def __init__(self, statistics: tuple[Statistic, ...] = tuple(Statistic)) -> None:
        self._statistics = statistics

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> RobustZScorer:
        """See `Detector.fit`. Nothing is estimated: the baselines are the model."""
        usable_columns(reference, settings)
        columns = reference.columns
        metrics = list(dict.fromkeys(column.metric.name for column in columns))
        used = [column.against is Level.DEVICE and column.statistic in self._statistics for column in columns]
        metric_of = [metrics.index(column.metric.name) if use else -1 for column, use in zip(columns, used, strict=True)]
        by_name = {column.metric.name: weight(column, settings) for column in columns}
        return RobustZScorer(
            np.array(metric_of, np.int64),
            np.array([_HALF_WIDTH * _reluctance(column, HarmfulDirection.HIGHER) for column in columns]),
            np.array([_HALF_WIDTH * _reluctance(column, HarmfulDirection.LOWER) for column in columns]),
            np.array([by_name[metric] for metric in metrics]),
        )

    def restore(self, state: ScorerState) -> RobustZScorer:
        """See `Detector.restore`."""
        return RobustZScorer(**{name: np.asarray(values) for name, values in state.arrays.items()})


def _reluctance(column: DesignColumn, harmful: HarmfulDirection) -> float:
    """How much wider moves away from `harmful` count for this column, where that is the direction that does harm."""
    directed = column.statistic is not Statistic.STD and column.metric.harmful is harmful
    return _HARMLESS if directed else 1.0
