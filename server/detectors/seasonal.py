"""Robust z-scores against what is usual at that hour, in level and in spread: an hour that is always restless is no news."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from server.detectors.base import DesignMatrix, Detector, Floats, Rows, ScorerState
from server.detectors.robust_z import RobustZDetector, RobustZScorer
from server.domain.settings import DetectorSettings
from server.kernels.medians import group_statistics, rows_by_group

_HOUR = 3_600_000_000
_DAY, _WEEK = 24, 168
_DAYS, _WEEKS = 7, 3
"""History from which hours of the day, and of the week, are told apart: as for the baselines' profile."""
_PRIOR_ROWS = 100.0
"""An hour with as many rows counts as much as all hours together."""
_CALMEST = 0.5
"""No hour's scale is below this share of the scale over all hours."""


@dataclass(frozen=True, slots=True)
class SeasonalScorer:
    """Centre and scale of each column of z-scores by hour, shape (hours, columns), and the evidence of what is left."""

    evidence: RobustZScorer
    centre: Floats
    scale: Floats

    def score(self, matrix: DesignMatrix) -> Floats:
        """See `Scorer.score`: less the evidence of the residuals, so 0 is perfectly typical of the hour."""
        return self.evidence.score(self._residual(matrix))

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """See `Scorer.explain`: each metric's part of the evidence, at its strongest column."""
        return self.evidence.explain(self._residual(matrix), rows)

    def state(self) -> ScorerState:
        """See `Scorer.state`."""
        return ScorerState({**self.evidence.state().arrays, "centre": self.centre, "scale": self.scale}, {})

    def _residual(self, matrix: DesignMatrix) -> DesignMatrix:
        hour = hours(matrix.time, len(self.centre))
        return replace(matrix, z=((matrix.z - self.centre[hour]) / self.scale[hour]).astype(np.float32))


class SeasonalDetector(Detector):
    """The residual of a profile over the hours of the day, or of the week from three weeks on; of neither below a week.

    The baselines have taken each cohort's mean rhythm out of the z-scores already; this takes out what is left of it in any
    statistic, and the rhythm of the spread. A decomposition such as STL (Cleveland et al. 1990) needs a device's whole series:
    it could not score one row.
    """

    name = "seasonal"

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> SeasonalScorer:
        """See `Detector.fit`."""
        evidence = RobustZDetector().fit(reference, settings)
        rows = np.flatnonzero(reference.reference)
        cells = rhythm(reference)
        centre, scale = _statistics(reference.z[rows], hours(reference.time[rows], cells), cells)
        return SeasonalScorer(evidence, centre, scale)

    def restore(self, state: ScorerState) -> SeasonalScorer:
        """See `Detector.restore`."""
        arrays = dict(state.arrays)
        centre, scale = arrays.pop("centre"), arrays.pop("scale")
        return SeasonalScorer(RobustZDetector().restore(ScorerState(arrays, {})), centre, scale)


def hours(time: npt.NDArray[np.int64], cells: int) -> npt.NDArray[np.int32]:
    """Hour of the day or week (UTC) of times in microseconds, as `cells` says."""
    return (time // _HOUR % cells).astype(np.int32)


def rhythm(reference: DesignMatrix) -> int:
    """Hours in the rhythm that the median device has history for: 168, 24 or 1."""
    ends = reference.bounds[1:] - 1
    span = float(np.median(reference.time[ends] - reference.time[reference.bounds[:-1]])) / (_HOUR * _DAY)
    return _WEEK if span >= 7 * _WEEKS else _DAY if span >= _DAYS else 1


def _statistics(z: npt.NDArray[np.float32], hour: npt.NDArray[np.int32], cells: int) -> tuple[Floats, Floats]:
    """Median and robust scale of each column by hour, drawn towards those over all hours; two of shape (cells, columns)."""
    order, bounds = rows_by_group(hour, cells)
    work = np.empty((2, len(z) + 1))
    everything = np.arange(len(z), dtype=np.int32), np.array([0, len(z)])
    centre, scale = np.empty((cells, z.shape[1])), np.empty((cells, z.shape[1]))
    for column in range(z.shape[1]):
        values = z[:, column].astype(np.float64)
        own, whole = np.full((cells, 4), np.nan), np.full((1, 4), np.nan)
        group_statistics(values, order, bounds, own, work)
        group_statistics(values, *everything, whole, work)
        share = np.nan_to_num(own[:, 3]) / (np.nan_to_num(own[:, 3]) + _PRIOR_ROWS)
        overall = np.nan_to_num(_scale(whole)[0], nan=1.0) or 1.0
        centre[:, column] = share * np.nan_to_num(own[:, 0]) + (1 - share) * np.nan_to_num(whole[0, 0])
        blended = share * np.nan_to_num(_scale(own)) + (1 - share) * overall
        scale[:, column] = np.maximum(blended, _CALMEST * overall)
    return centre, scale


def _scale(statistics: Floats) -> Floats:
    """The robust scale as the baselines take it."""
    return np.maximum(1.4826 * statistics[:, 1], 1.2533 * statistics[:, 2])
