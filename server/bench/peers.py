"""Other detectors on what ours are given. They are development dependencies: one that is absent is skipped, with the reason."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from server.bench.child import Figures, Sections
from server.bench.forests import TREES, some_rows


def pyod_iforest(given: Mapping[str, Any]) -> Figures:
    """PyOD's isolation forest, fitted on and scoring every row."""
    from pyod.models.iforest import IForest  # noqa: PLC0415 - may be absent

    return _fit_and_score(IForest(n_estimators=TREES, random_state=0), given["rows"])


def pyod_ecod(given: Mapping[str, Any]) -> Figures:
    """PyOD's ECOD, fitted on and scoring every row."""
    from pyod.models.ecod import ECOD  # noqa: PLC0415 - may be absent

    return _fit_and_score(ECOD(), given["rows"])


def river_trees(given: Mapping[str, Any]) -> Figures:
    """river's half-space trees, one event at a time."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 - may be absent

    model = HalfSpaceTrees(seed=0)
    events: list[dict[Any, Any]] = [dict(enumerate(row)) for row in _readings(given["readings"]).tolist()]
    begin = time.process_time()
    for event in events:
        model.score_one(event)
        model.learn_one(event)
    return {"rate": len(events) / (time.process_time() - begin)}


def pysad_loda(given: Mapping[str, Any]) -> Figures:
    """pysad's LODA, one event at a time."""
    from pysad.models import LODA  # noqa: PLC0415 - may be absent

    model, events = LODA(), _readings(given["readings"])
    begin = time.process_time()
    for event in events:
        model.score_partial(event)
        model.fit_partial(event)
    return {"rate": len(events) / (time.process_time() - begin)}


def _fit_and_score(model: Any, count: int) -> Figures:
    rows, sections = some_rows(count), Sections()
    with sections.part("fit_and_score"):
        model.fit(rows)
        model.decision_function(rows)
    return {"cpu": sections.cpu}


def _readings(count: int) -> np.ndarray:
    """Eight measured values an event, in [0, 1] as half-space trees want them."""
    return np.random.default_rng(6).random((count, 8))
