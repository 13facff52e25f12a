"""One scale for different detectors: how surprising a score is, by its own tail on the rows that may be fitted on."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from server.kernels.tail import GRID, TAIL_FROM, fill_surprisal

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tail:
    """Surprisal -log P(X >= x): empirical up to the 0.9 quantile, exponential with the mean excess beyond it.

    The peaks-over-threshold model (Pickands 1975) with shape 0: a fitted shape gains nothing and can bound the scale.
    """

    quantiles: Floats
    excess: float

    @classmethod
    def fit(cls, abnormality: Floats) -> Self:
        """The tail of a sample of abnormality (higher is more abnormal)."""
        quantiles = np.quantile(abnormality, np.linspace(0.0, TAIL_FROM, len(GRID)))
        above = abnormality[abnormality > quantiles[-1]]
        excess = float((above - quantiles[-1]).mean()) if len(above) else 0.0
        return cls(quantiles, max(excess, 1e-9 * (1.0 + abs(float(quantiles[-1])))))

    def surprisal(self, abnormality: Floats) -> Floats:
        """Surprisal in nats, non-decreasing in abnormality and strictly rising beyond the fitted part."""
        out = np.empty(len(abnormality))
        fill_surprisal(abnormality, self.quantiles, self.excess, out)
        return out
