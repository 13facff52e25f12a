"""The default detector: absolute z-scores and an isolation forest, each made a surprisal by its own tail, added with weights.

The forest sees metrics together but is blind to any change that moves a whole column; absolute z-scores see each such change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from server.detectors.base import DesignMatrix, Detector, Floats, Rows, Scorer, ScorerState, take_rows
from server.detectors.isolation_forest import IsolationForestDetector
from server.detectors.robust_z import RobustZDetector
from server.detectors.tail import Tail
from server.domain.baseline import Statistic
from server.domain.settings import DetectorSettings


class Part(NamedTuple):
    """One detector of the combination and how much its surprisal counts."""

    name: str
    detector: Detector
    weight: float


@dataclass(frozen=True, slots=True)
class TrainedPart:
    """A part's scorer, its tail on the reference rows, and its weight."""

    scorer: Scorer
    tail: Tail
    weight: float

    def surprisal(self, matrix: DesignMatrix) -> Floats:
        """Weighted surprisal of each row."""
        return self.weight * self.tail.surprisal(-self.scorer.score(matrix))

    def credit(self, matrix: DesignMatrix) -> Floats:
        """Each row's surprisal, split as the part itself splits what speaks for an anomaly; shape (rows, columns)."""
        own = np.maximum(self.scorer.explain(matrix, np.arange(len(matrix.z))), 0.0)
        whole = own.sum(axis=1, keepdims=True)
        share = np.divide(own, whole, out=np.full(own.shape, 1.0 / own.shape[1]), where=whole > 0)
        return share * self.surprisal(matrix)[:, None]


@dataclass(frozen=True, slots=True)
class HybridScorer:
    """Weighted sum of the parts' surprisals."""

    parts: dict[str, TrainedPart]

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: less the summed surprisal in nats, so 0 is the most typical."""
        return -sum((part.surprisal(matrix) for part in self.parts.values()), np.zeros(len(matrix.z)))

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """See `Scorer.explain`: the sum of the parts' own."""
        chosen = take_rows(matrix, rows)
        credit = np.zeros((len(rows), len(matrix.columns)))
        for part in self.parts.values():
            credit += part.credit(chosen)
        return credit

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        arrays, about = {}, {}
        for name, part in self.parts.items():
            state = part.scorer.state()
            arrays |= {f"{name}.{key}": values for key, values in state.arrays.items()} | {f"{name}.tail": part.tail.quantiles}
            about[name] = {"state": dict(state.about), "excess": part.tail.excess, "weight": part.weight}
        return ScorerState(arrays, about)


class HybridDetector(Detector):
    """Absolute z-scores of level, spread and change, and a quarter as much an isolation forest over all metrics' levels."""

    name = "hybrid"

    def __init__(self, parts: Sequence[Part] | None = None) -> None:
        self._parts = tuple(parts) if parts is not None else default_parts()

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> HybridScorer:
        """See `Detector.fit`: each part, then its tail on the same rows."""
        fitted = take_rows(reference, np.flatnonzero(reference.reference))
        trained: dict[str, TrainedPart] = {}
        for part in self._parts:
            scorer = part.detector.fit(fitted, settings)
            trained[part.name] = TrainedPart(scorer, Tail.fit(-scorer.score(fitted)), part.weight)
        return HybridScorer(trained)

    def restore(self, state: ScorerState) -> HybridScorer:
        """See `Detector.restore`."""
        detectors = {part.name: part.detector for part in self._parts}
        trained: dict[str, TrainedPart] = {}
        for name, about in state.about.items():
            arrays = {
                key.removeprefix(f"{name}."): values for key, values in state.arrays.items() if key.startswith(f"{name}.")
            }
            tail = Tail(arrays.pop("tail"), about["excess"])
            trained[name] = TrainedPart(detectors[name].restore(ScorerState(arrays, about["state"])), tail, about["weight"])
        return HybridScorer(trained)


def default_parts() -> tuple[Part, ...]:
    """The parts that earned their place in the ablation."""
    return (
        Part("absolute_z", RobustZDetector(), 1.0),
        Part("forest", IsolationForestDetector(statistics=(Statistic.MEAN,)), 0.25),
    )
