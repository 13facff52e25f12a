"""Who is measured: the default detector, it with its parts taken out or put together otherwise, and all other detectors."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np

from server.detectors.base import DesignMatrix, Detector, Floats, take_rows
from server.detectors.ecod import EcodDetector
from server.detectors.hbos import HbosDetector
from server.detectors.hybrid import HybridDetector, HybridScorer, Part, default_parts
from server.detectors.isolation_forest import IsolationForestDetector
from server.detectors.loda import LodaDetector
from server.detectors.registry import Detectors
from server.detectors.robust_z import RobustZDetector
from server.detectors.seasonal import SeasonalDetector
from server.detectors.tail import Tail
from server.domain.baseline import Statistic
from server.domain.settings import DetectorSettings

DEFAULT = "hybrid"
FOREST = "isolation_forest"
_FOREST_WEIGHT = 0.25


class Group(StrEnum):
    """What a contestant is there for."""

    OURS = "default"
    INSTALLED = "installed"
    ABLATION = "ablation"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A detector under a name. `seeded` says whether anything in it is drawn, so that seeds can differ."""

    name: str
    group: Group
    detector: Detector
    seeded: bool = True


def installed(detectors: Detectors) -> list[Contestant]:
    """Every detector that is installed, the default one first."""
    names = [DEFAULT, *(name for name in detectors.names if name != DEFAULT)]
    return [
        Contestant(name, Group.OURS if name == DEFAULT else Group.INSTALLED, detectors.get(name), name not in _NOTHING_DRAWN)
        for name in names
    ]


def ablations() -> list[Contestant]:
    """The default detector without each of its parts, with its parts put together otherwise, and with further parts."""
    z, forest = RobustZDetector(), IsolationForestDetector(statistics=(Statistic.MEAN,))
    every = {statistic.value: statistic for statistic in Statistic}
    less = {
        f"without {name}": [Part("z", RobustZDetector(_but(statistic)), 1.0), Part("forest", forest, _FOREST_WEIGHT)]
        for name, statistic in zip(("level", "spread", "change"), every.values(), strict=True)
    }
    other = {
        "without forest": [Part("z", z, 1.0)],
        "without absolute z": [Part("forest", forest, 1.0)],
        "seasonal instead of absolute z": [Part("z", SeasonalDetector(), 1.0), Part("forest", forest, _FOREST_WEIGHT)],
        "forest sees spread and change": [Part("z", z, 1.0), Part("forest", IsolationForestDetector(), _FOREST_WEIGHT)],
        "forest counts as much": [Part("z", z, 1.0), Part("forest", forest, 1.0)],
    }
    further = {
        f"and {detector.name}": [*default_parts(), Part(detector.name, detector, _FOREST_WEIGHT)]
        for detector in (EcodDetector(), HbosDetector(), LodaDetector())
    }
    made = [Contestant(name, Group.ABLATION, HybridDetector(parts)) for name, parts in {**less, **other, **further}.items()]
    instead = [*default_parts()[:1], Part("loda", LodaDetector(), _FOREST_WEIGHT)]
    made.append(Contestant("LODA instead of forest", Group.ABLATION, HybridDetector(instead)))
    return [*made, Contestant("without tails", Group.ABLATION, PlainSumDetector())]


class PlainSumDetector(HybridDetector):
    """The default detector with its parts' scores standardised and added, instead of the surprisals of their tails."""

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> HybridScorer:
        """See `Detector.fit`."""
        fitted = super().fit(reference, settings)
        rows = take_rows(reference, np.flatnonzero(reference.reference))
        parts = {name: replace(part, tail=Standard.fit(-part.scorer.score(rows))) for name, part in fitted.parts.items()}
        return HybridScorer(parts)


class Standard(Tail):
    """Standard deviations above the mean, where a tail has nats."""

    @classmethod
    def fit(cls, abnormality: Floats) -> Self:
        """Mean and standard deviation of a sample."""
        return cls(np.array([abnormality.mean()]), max(float(abnormality.std()), np.finfo(float).tiny))

    def surprisal(self, abnormality: Floats) -> Floats:
        """Standard deviations above the mean."""
        return (abnormality - self.quantiles[0]) / self.excess


def _but(left_out: Statistic) -> tuple[Statistic, ...]:
    return tuple(statistic for statistic in Statistic if statistic is not left_out)


_NOTHING_DRAWN = {"robust_z", "ecod", "hbos", "seasonal"}
