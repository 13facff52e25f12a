"""The values that most detectors work on: usable columns of the rows that may be fitted on, missing ones filled."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from server.detectors.base import DesignMatrix, Floats, Singles, usable_columns, weight
from server.domain.settings import DetectorSettings

FAR = 8.0
"""Robust scales at which values are cut off for histograms: one wild value would stretch equal bins over all others."""


@dataclass(frozen=True, slots=True)
class Filled:
    """Some of a design matrix's columns, with the median of the fitted rows where a value is missing."""

    columns: npt.NDArray[np.int64]
    medians: Singles

    @classmethod
    def fit(cls, reference: DesignMatrix, settings: DetectorSettings, rows: int) -> tuple[Self, Singles]:
        """The usable columns, and their values in at most `rows` evenly spaced rows that may be fitted on.

        Raises:
            NotEnoughData: too few rows.
            InvalidInput: no column varies enough to be used.
        """
        columns = usable_columns(reference, settings)
        fitted = np.flatnonzero(reference.reference)
        chosen = fitted[np.unique(np.linspace(0, len(fitted) - 1, min(len(fitted), rows)).astype(np.int64))]
        values = reference.z[np.ix_(chosen, columns)]
        seen = ~np.isnan(values).all(axis=0)
        medians = np.zeros(len(columns), np.float32)
        medians[seen] = np.nanmedian(values[:, seen], axis=0)
        found = cls(columns, medians)
        return found, found.of(reference.z[chosen])

    def of(self, z: Singles) -> Singles:
        """Those columns of z-scores, shape (rows, chosen columns), none of them missing."""
        chosen = z[:, self.columns]
        return np.where(np.isnan(chosen), self.medians, chosen)

    def spread(self, credit: Floats, columns: int) -> Floats:
        """Credit of the chosen columns among all of them; shape (rows, columns)."""
        whole = np.zeros((len(credit), columns))
        whole[:, self.columns] = credit
        return whole


def weights(reference: DesignMatrix, columns: npt.NDArray[np.int64], settings: DetectorSettings) -> Floats:
    """The weight of each chosen column's metric domain."""
    return np.array([weight(reference.columns[column], settings) for column in columns])
