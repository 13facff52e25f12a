"""Every detector that is installed keeps the promises of `server.detectors.base`."""

import numpy as np
import pytest

from server.detectors.base import DesignMatrix, Floats, ScorerState
from server.detectors.conformance import check_detector
from server.detectors.registry import Detectors
from server.detectors.robust_z import RobustZDetector, RobustZScorer

ADD_UP = {"ecod", "hbos", "hybrid", "robust_z", "seasonal", "voting"}
"""A forest's credits are steps of its paths, and LODA's rank columns: neither is in the unit of the score."""


@pytest.mark.parametrize("name", Detectors().names)
def test_installed_detectors_conform(name: str) -> None:
    """Scores, attribution, storage, what is fitted on, and what is refused."""
    check_detector(Detectors().get(name), adds_up=name in ADD_UP)


def test_there_are_the_detectors_that_the_docs_name() -> None:
    """All come through the entry-point group."""
    assert set(Detectors().names) == {"ecod", "hbos", "hybrid", "isolation_forest", "loda", "robust_z", "seasonal", "voting"}


class Upside(RobustZScorer):
    """Higher is more abnormal: a mistake."""

    def score(self, matrix: DesignMatrix) -> Floats:
        return -super().score(matrix)


class UpsideDown(RobustZDetector):
    """Fits a scorer that is upside down."""

    def fit(self, reference, settings) -> Upside:
        return Upside(*super().fit(reference, settings).state().arrays.values())


class Forgetful(RobustZDetector):
    """Restores something else than was stored."""

    def restore(self, state: ScorerState) -> RobustZScorer:
        return super().restore(ScorerState({**state.arrays, "weight": np.ones(3) * 2}, {}))


class Greedy(RobustZDetector):
    """Takes what rows it must not fit on say for its weights."""

    def fit(self, reference, settings) -> RobustZScorer:
        arrays = dict(super().fit(reference, settings).state().arrays)
        return RobustZScorer(**{**arrays, "weight": arrays["weight"] * float(np.nanmax(reference.z))})


@pytest.mark.parametrize(
    ("broken", "promise"),
    [(UpsideDown(), "lower is more abnormal"), (Forgetful(), "bit for bit"), (Greedy(), "only reference rows")],
)
def test_the_suite_names_the_promise_that_was_broken(broken: RobustZDetector, promise: str) -> None:
    """A suite that passes everything would be none."""
    with pytest.raises(AssertionError, match=promise):
        check_detector(broken)
