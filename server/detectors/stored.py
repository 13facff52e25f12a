"""Trained detectors as files: arrays and JSON in a `.npz`, read without pickle."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.detectors.base import Scorer, ScorerState
from server.detectors.registry import Detectors


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained detector with the threshold calibrated for it; a row is an anomaly when its score is below the threshold."""

    detector: str
    scorer: Scorer
    threshold: float
    calibration: str
    reference_scores: npt.NDArray[np.float64]
    """Sorted quantiles of the score on reference rows: what severity and drift are measured against."""
    rows: int
    """Rows that it was trained on."""


def write_trained(path: Path, trained: Trained) -> None:
    """Write a trained detector; the same one gives the same bytes."""
    state = trained.scorer.state()
    about = {
        "detector": trained.detector,
        "threshold": trained.threshold,
        "calibration": trained.calibration,
        "rows": trained.rows,
        "state": dict(state.about),
    }
    arrays = {f"state.{name}": values for name, values in state.arrays.items()}
    encoded = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, about=encoded, reference_scores=trained.reference_scores, allow_pickle=False, **arrays)


def read_trained(path: Path, detectors: Detectors) -> Trained:
    """What `write_trained` wrote. Raises `NotFound` if its detector is not installed."""
    with np.load(path, allow_pickle=False) as file:
        about = json.loads(file["about"].tobytes())
        prefix = "state."
        arrays = {name.removeprefix(prefix): file[name] for name in file.files if name.startswith(prefix)}
        scorer = detectors.get(about["detector"]).restore(ScorerState(arrays, about["state"]))
        quantiles = file["reference_scores"]
        return Trained(about["detector"], scorer, about["threshold"], about["calibration"], quantiles, about["rows"])
