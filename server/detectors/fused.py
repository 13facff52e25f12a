"""The default detector as the arrays that one call of its kernel takes."""

import numpy as np

from server.detectors.hybrid import HybridScorer, TrainedPart
from server.detectors.isolation_forest import ForestScorer
from server.detectors.robust_z import POWER, RobustZScorer
from server.detectors.stored import Trained
from server.kernels.hybrid import AbsoluteZ, Forest, Model


def fuse(trained: Trained) -> Model | None:
    """The model of a hybrid of absolute z-scores and one forest; None for any other detector, which is called part by part."""
    scorer = trained.scorer
    if not isinstance(scorer, HybridScorer) or len(scorer.parts) != 2:
        return None
    absolute, forest = scorer.parts.values()
    if not isinstance(absolute.scorer, RobustZScorer) or not isinstance(forest.scorer, ForestScorer):
        return None
    tails = np.stack([absolute.tail.quantiles, forest.tail.quantiles]), np.array([_numbers(absolute), _numbers(forest)])
    return _absolute(absolute.scorer), _forest(forest.scorer), tails, trained.threshold


def _absolute(scorer: RobustZScorer) -> AbsoluteZ:
    return scorer.metric_of, (scorer.below, scorer.above), scorer.weight, POWER


def _forest(scorer: ForestScorer) -> Forest:
    forest, filled = scorer.forest, scorer.filled
    return filled.columns, filled.medians, forest.feature, forest.threshold, forest.path, forest.normaliser


def _numbers(part: TrainedPart) -> tuple[float, float]:
    return part.tail.excess, part.weight
