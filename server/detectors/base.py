"""What a detector is, and the only thing it is trained and scored on: a design matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Level, Statistic
from server.domain.settings import DetectorSettings
from server.domain.telemetry import Metric
from server.errors import InvalidInput, NotEnoughData
from server.kernels.missing import finite_variances

Singles = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DesignColumn:
    """One column: a metric's statistic as a robust z-score against the row's own level, or against its cohort."""

    metric: Metric
    statistic: Statistic
    against: Level
    """`DEVICE`: the most specific level that has enough rows. `COHORT`: never narrower than the cohort."""

    @property
    def name(self) -> str:
        """Column name in artifacts and explanations."""
        return f"{self.metric.name}_{self.statistic.value}" + ("_vs_cohort" if self.against is Level.COHORT else "")


@dataclass(frozen=True, slots=True)
class DesignMatrix:
    """Robust z-scores of a block of whole devices sorted by device and time. Only `server.pipeline.normalize` makes one.

    `z` has shape (rows, columns), NaN where the feature is missing; `bounds` the first row of each device and the number of
    rows last; `time` microseconds since 1970 UTC; `reference` the rows that may be fitted on.
    """

    columns: tuple[DesignColumn, ...]
    z: Singles
    bounds: Rows
    time: Rows
    device: npt.NDArray[np.int32]
    cohort: npt.NDArray[np.int32]
    reference: npt.NDArray[np.bool_]
    fallback: str = ""


def take_rows(matrix: DesignMatrix, rows: Rows) -> DesignMatrix:
    """Those rows of a design matrix, for detectors that look at rows one by one; devices are no longer marked off."""
    keys = {key: getattr(matrix, key)[rows] for key in ("z", "time", "device", "cohort", "reference")}
    return replace(matrix, bounds=np.array([0, len(rows)], np.int64), **keys)


class ScorerState(NamedTuple):
    """A trained detector as plain arrays and JSON: what is stored instead of a pickle."""

    arrays: Mapping[str, npt.NDArray[Any]]
    about: Mapping[str, Any]


class Scorer(Protocol):
    """A trained detector: pure, and the same on one row as on many."""

    def score(self, matrix: DesignMatrix) -> Floats:
        """Anomaly score of each row in scikit-learn's sense: lower is more abnormal."""
        ...

    def explain(self, matrix: DesignMatrix, rows: Rows) -> Floats:
        """How much each column moved the score of those rows towards abnormal; shape (rows, columns).

        Exact for what `score` does, in the detector's own unit, negative where a column looked more normal than most.
        """
        ...

    def state(self) -> ScorerState:
        """What `Detector.restore` needs to make an equal scorer."""
        ...


class Detector(Protocol):
    """A way to find anomalies. Found through the entry-point group `anomalyst.detectors`."""

    name: str

    def fit(self, reference: DesignMatrix, settings: DetectorSettings) -> Scorer:
        """Train on rows that may be fitted on: whole devices, or every device's evenly spaced rows where there are many.

        Raises:
            NotEnoughData: too few rows.
            InvalidInput: no column varies enough to be used.
        """
        ...

    def restore(self, state: ScorerState) -> Scorer:
        """The scorer whose `state` this is."""
        ...


MIN_ROWS = 50


def usable_columns(reference: DesignMatrix, settings: DetectorSettings) -> npt.NDArray[np.int64]:
    """Columns with values, more variance than `min_variance` and a domain weight above 0, as the rows to fit on say.

    Raises:
        NotEnoughData: fewer than 50 rows that may be fitted on.
        InvalidInput: no column is left; the message says what each was dropped for.
    """
    z = reference.z if reference.reference.all() else reference.z[reference.reference]
    if len(z) < MIN_ROWS:
        raise NotEnoughData("training", len(z), MIN_ROWS, "Ingest more telemetry, or widen the window.")
    known, variance = np.empty(z.shape[1], np.int64), np.empty(z.shape[1])
    finite_variances(z, known, variance)
    empty = known == 0
    flat = ~empty & (variance <= settings.min_variance)
    silent = np.array([weight(column, settings) == 0 for column in reference.columns])
    keep = np.flatnonzero(~(empty | flat | silent))
    if len(keep) == 0:
        raise InvalidInput(
            f"no usable feature: of {len(reference.columns)} columns {empty.sum()} have no value, {flat.sum()} do not vary "
            f"(min_variance {settings.min_variance:g}), {silent.sum()} are silenced by domain weights. "
            "Check the column mapping, or ingest rows in which something changes."
        )
    return keep


def weight(column: DesignColumn, settings: DetectorSettings) -> float:
    """The weight of the column's metric domain."""
    return settings.domain_weights.get(column.metric.domain, 1.0)
