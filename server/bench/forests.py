"""Rows and a fitted forest that every side is given alike."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from server.detectors.base import DesignColumn, DesignMatrix
from server.domain.baseline import Level, Statistic
from server.domain.telemetry import Metric

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

COLUMNS, TREES, _FIT_ROWS = 32, 300, 5000


def some_rows(count: int) -> npt.NDArray[np.float32]:
    """Rows of heavy-tailed z-scores, the same for the same count."""
    return np.random.default_rng(3).standard_t(3, size=(count, COLUMNS)).astype(np.float32)


def fitted() -> "IsolationForest":
    """A forest of 300 trees of 256 rows."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - two seconds that not every program needs

    settings: dict[str, Any] = {"n_estimators": TREES, "max_samples": 256, "random_state": 0}
    return IsolationForest(**settings).fit(some_rows(_FIT_ROWS))


def design_of(z: npt.NDArray[np.float32]) -> DesignMatrix:
    """A design matrix of those z-scores: eight metrics, three statistics against the own level and means against the cohort."""
    metrics = [Metric.model_validate({"name": f"Reading{number:02d}"}) for number in range(COLUMNS // 4)]
    own = [DesignColumn(metric, statistic, Level.DEVICE) for statistic in Statistic for metric in metrics]
    columns = (*own, *(DesignColumn(metric, Statistic.MEAN, Level.COHORT) for metric in metrics))
    rows = len(z)
    none, every = np.zeros(rows, np.int32), np.ones(rows, bool)
    return DesignMatrix(columns, z, np.array([0, rows]), np.arange(rows), none, none, every)
