"""Reference methods as scikit-learn and PyOD have them, on raw metrics: what one would try without this project."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from server.detectors.filled import evenly_spaced

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

_FIT_ROWS = 50_000
_FAR = 50.0
"""Robust scales at which values are cut off: PCA overflows on a metric that was constant while it was fitted."""


@dataclass(frozen=True, slots=True)
class OutsideMethod:
    """A library's detector: `make` gives it for a seed, and its `decision_function` is higher for the more abnormal."""

    name: str
    make: Callable[[int], Any]
    higher_is_worse: bool = True
    seeded: bool = True

    def scores(self, z: Floats, fitted: Flags, seed: int) -> Floats:
        """Abnormality of every row, fitted on at most 50,000 evenly spaced ones of those that may be."""
        rows = evenly_spaced(np.flatnonzero(fitted), _FIT_ROWS)
        model = self.make(seed)
        model.fit(z[rows])
        found: Floats = model.decision_function(z)
        return found if self.higher_is_worse else -found


def outside_methods() -> list[OutsideMethod]:
    """Isolation forest of scikit-learn; ECOD, HBOS, LODA and the residual of a PCA of PyOD."""
    from pyod.models.ecod import ECOD  # noqa: PLC0415 - brings matplotlib
    from pyod.models.hbos import HBOS  # noqa: PLC0415 - as above
    from pyod.models.loda import LODA  # noqa: PLC0415 - as above
    from pyod.models.pca import PCA  # noqa: PLC0415 - as above
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - takes two seconds

    def forest(seed: int) -> Any:
        return IsolationForest(n_estimators=300, random_state=seed)

    return [
        OutsideMethod("scikit-learn forest", forest, higher_is_worse=False),
        OutsideMethod("PyOD ECOD", lambda _: ECOD(), seeded=False),
        OutsideMethod("PyOD HBOS", lambda _: HBOS(), seeded=False),
        OutsideMethod("PyOD LODA", lambda seed: LODA(random_state=seed)),
        OutsideMethod("PyOD PCA", lambda seed: PCA(n_components=0.9, svd_solver="full", random_state=seed), seeded=False),
    ]


def device_z(values: Floats, bounds: Rows, fitted: Flags) -> Floats:
    """Robust z-scores of raw metrics (rows, metrics) by device, missing ones 0, cut off at 50 scales.

    Median and scale are those of the device's rows that may be fitted on, or of all its rows where there are none.
    """
    z = np.zeros(values.shape)
    for start, end in pairwise(bounds):
        own, usable = values[start:end], fitted[start:end]
        known = own[usable] if usable.any() else own
        for metric in range(values.shape[1]):
            seen = known[:, metric][np.isfinite(known[:, metric])]
            if len(seen) == 0:
                continue
            middle = float(np.median(seen))
            gap = np.abs(seen - middle)
            scale = max(1.4826 * float(np.median(gap)), 1.2533 * float(gap.mean())) or 1.0
            z[start:end, metric] = (own[:, metric] - middle) / scale
    return np.nan_to_num(z).clip(-_FAR, _FAR)
