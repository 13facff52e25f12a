"""Training: a detector on a sample of whole devices, and its threshold, calibrated once on the scores of that sample."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from server.detectors.base import DesignMatrix, Detector
from server.detectors.stored import Trained
from server.domain.settings import DetectorSettings
from server.errors import NotEnoughData

SAMPLE_ROWS = 100_000
_QUANTILES = 1001
_DAY = 86_400_000_000


def sampled_devices(rows: Sequence[int], limit: int = SAMPLE_ROWS) -> npt.NDArray[np.int64]:
    """Codes of evenly spaced devices that hold about `limit` rows together; all of them where there are fewer."""
    share = min(1.0, limit / max(sum(rows), 1))
    count = max(1, round(len(rows) * share))
    return np.unique(np.linspace(0, len(rows) - 1, count).round().astype(np.int64))


def train_detector(
    matrices: Iterable[DesignMatrix],
    detector: Detector,
    settings: DetectorSettings,
    *,
    rows_per_day: float,
    keep: tuple[float, str] | None = None,
) -> Trained:
    """Fit the detector and put its threshold.

    `keep` is the threshold, and how it was calibrated, of an earlier detector whose scores are comparable: it stays. Otherwise
    the threshold is the contamination's quantile of the scores on the rows that may be fitted on.

    Raises:
        NotEnoughData: too few rows.
        InvalidInput: no usable feature.
    """
    reference = join(list(matrices))
    scorer = detector.fit(reference, settings)
    scores = scorer.score(reference)[reference.reference]
    quantiles = np.quantile(scores, np.linspace(0, 1, _QUANTILES))
    threshold, calibration = keep or _calibrate(scores, settings, rows_per_day)
    return Trained(detector.name, scorer, threshold, calibration, quantiles, len(scores))


def rows_per_day(time: npt.NDArray[np.int64]) -> float:
    """Rows a day at times in microseconds: what an alert budget is a share of. Under an hour counts as an hour."""
    return daily(len(time), int(time.min()), int(time.max())) if len(time) else 0.0


def daily(rows: int, first: int, last: int) -> float:
    """Rows a day of so many rows from the first to the last time."""
    return rows / max(float(last - first) / _DAY, 1 / 24)


def join(matrices: Sequence[DesignMatrix]) -> DesignMatrix:
    """Several design matrices of the same columns as one. Raises `NotEnoughData` where there is none."""
    if not matrices:
        raise NotEnoughData("training", 0, 1, "Ingest telemetry first.")
    first = matrices[0]
    starts = np.cumsum([0, *(len(matrix.z) for matrix in matrices)])
    bounds = [matrix.bounds[:-1] + start for matrix, start in zip(matrices, starts, strict=False)]
    keys = {
        key: np.concatenate([getattr(matrix, key) for matrix in matrices])
        for key in ("z", "time", "device", "cohort", "reference")
    }
    return replace(first, bounds=np.concatenate([*bounds, starts[-1:]]), **keys)


def _calibrate(scores: npt.NDArray[np.float64], settings: DetectorSettings, rows_per_day: float) -> tuple[float, str]:
    share, why = settings.contamination, f"contamination {settings.contamination:g}"
    if settings.alerts_per_day is not None:
        share = min(0.5, settings.alerts_per_day / max(rows_per_day, 1e-9))
        why = f"alert budget of {settings.alerts_per_day:g} a day"
    return float(np.quantile(scores, share)), f"{why} of {len(scores):,} rows"
