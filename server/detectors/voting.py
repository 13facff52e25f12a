"""Detectors that vote: a row is as abnormal as most of them say that it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.detectors.base import DesignMatrix, Detector, Floats, Rows, ScorerState, take_rows
from server.detectors.ecod import EcodDetector
from server.detectors.hbos import HbosDetector
from server.detectors.hybrid import HybridDetector, HybridScorer, Part, TrainedPart
from server.detectors.isolation_forest import IsolationForestDetector
from server.detectors.loda import LodaDetector
from server.detectors.robust_z import RobustZDetector
from server.domain.settings import DetectorSettings
from server.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class VotingScorer:
    """The middle one of the members' surprisals: at every threshold, whether most members are beyond it."""

    members: dict[str, TrainedPart]

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: less the median surprisal, in nats."""
        return -np.median(self._surprisals(matrix), axis=0)

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """See `Scorer.explain`: as the member explains it whose vote decided."""
        chosen = take_rows(matrix, rows)
        decisive = np.argsort(self._surprisals(chosen), axis=0, kind="stable")[len(self.members) // 2]
        credit = np.zeros((len(rows), len(matrix.columns)))
        for place, member in enumerate(self.members.values()):
            own = np.flatnonzero(decisive == place)
            credit[own] = member.credit(take_rows(chosen, own))
        return credit

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        return HybridScorer(self.members).state()

    def _surprisals(self, matrix: DesignMatrix) -> Floats:
        return np.stack([member.surprisal(matrix) for member in self.members.values()])


class VotingDetector(Detector):
    """An odd number of detectors, each made a surprisal by its own tail: forest, robust z, ECOD, HBOS and LODA by default."""

    name = "voting"

    def __init__(self, members: Sequence[Detector] | None = None) -> None:
        chosen = members or (IsolationForestDetector(), RobustZDetector(), EcodDetector(), HbosDetector(), LodaDetector())
        if len(chosen) % 2 == 0:
            raise InvalidInput(f"{len(chosen)} detectors can be at odds half and half. Give an odd number of them.")
        self._combined = HybridDetector([Part(member.name, member, 1.0) for member in chosen])

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> VotingScorer:
        """See `Detector.fit`: each member, then its tail on the same rows."""
        return VotingScorer(self._combined.fit(reference, settings).parts)

    def restore(self, state: ScorerState) -> VotingScorer:
        """See `Detector.restore`."""
        return VotingScorer(self._combined.restore(state).parts)
