"""Ablations: each is the default detector with one thing changed, and the change shows."""

import numpy as np

from server.detectors.conformance import sample_matrix
from server.detectors.hybrid import HybridDetector
from server.detectors.registry import Detectors
from server.domain.settings import DetectorSettings
from server.scorecard.contestants import FOREST, Group, PlainSumDetector, ablations, installed

SETTINGS = DetectorSettings(n_estimators=10)


def test_each_ablation_scores_otherwise_than_the_default() -> None:
    """Under names of their own; none of them is the default by mistake."""
    matrix, made = sample_matrix(), ablations()
    usual = HybridDetector().fit(matrix, SETTINGS).score(matrix)
    assert len({one.name for one in made}) == len(made) > 10
    for one in made:
        assert one.group is Group.ABLATION
        assert (one.detector.fit(matrix, SETTINGS).score(matrix) != usual).mean() > 0.9, one.name


def test_without_tails_the_parts_scores_are_standardised_and_added() -> None:
    """On the rows that may be learnt from: mean 0, and the variance of both weights but for what the parts share."""
    matrix = sample_matrix()
    scorer = PlainSumDetector().fit(matrix, SETTINGS)
    parts = [-part.scorer.score(matrix)[matrix.reference] for part in scorer.parts.values()]
    expected = sum(weight * (part - part.mean()) / part.std() for weight, part in zip((1.0, 0.25), parts, strict=True))
    np.testing.assert_allclose(-scorer.score(matrix)[matrix.reference], expected, rtol=1e-9, atol=1e-9)


def test_every_installed_detector_takes_part_the_default_first() -> None:
    """The forest among them: costs are told as multiples of its."""
    made = installed(Detectors())
    assert made[0].group is Group.OURS
    assert sorted(one.name for one in made) == list(Detectors().names)
    assert FOREST in {one.name for one in made}
