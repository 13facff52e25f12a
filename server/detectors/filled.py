"""The values that most detectors work on: usable columns of the rows that may be fitted on, missing ones filled."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from server.detectors.base import DesignMatrix, Floats, Rows, Singles, usable_columns, weight
from server.domain.baseline import Statistic
from server.domain.settings import DetectorSettings
from server.kernels.missing import fill_missing

FAR = 8.0
"""Robust scales at which values are cut off for histograms: one wild value would stretch equal bins over all others."""


@dataclass(frozen=True, slots=True)
class Filled:
    """Some of a design matrix's columns, with the median of the fitted rows where a value is missing."""

    columns: npt.NDArray[np.int64]
    medians: Singles

    @classmethod
    def fit(
        cls,
        reference: DesignMatrix,
        settings: DetectorSettings,
        rows: int,
        statistics: Collection[Statistic] = tuple(Statistic),
    ) -> tuple[Self, Singles]:
        """The usable columns of those statistics, and their values in at most `rows` evenly spaced rows that may be fitted on.

        Where none of those statistics is usable, all usable columns are taken.

        Raises:
            NotEnoughData: too few rows.
            InvalidInput: no column varies enough to be used.
        """
        usable = usable_columns(reference, settings)
        wanted = [at for at in usable if reference.columns[at].statistic in statistics]
        columns = np.array(wanted or usable, np.int64)  # what is left says more than nothing
        chosen = evenly_spaced(np.flatnonzero(reference.reference), rows)
        values = reference.z[np.ix_(chosen, columns)]
        seen = ~np.isnan(values).all(axis=0)
        medians = np.zeros(len(columns), np.float32)
        medians[seen] = np.nanmedian(values[:, seen], axis=0)
        found = cls(columns, medians)
        return found, found.of(reference.z[chosen])

    def of(self, z: Singles) -> Singles:
        """Those columns of z-scores, shape (rows, chosen columns), none of them missing."""
        filled = np.empty((len(z), len(self.columns)), np.float32)
        fill_missing(z, self.columns, self.medians, filled)
        return filled

    def spread(self, credit: Floats, columns: int) -> Floats:
        """Credit of the chosen columns among all of them; shape (rows, columns)."""
        whole = np.zeros((len(credit), columns))
        whole[:, self.columns] = credit
        return whole


def evenly_spaced(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, from the first to the last."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.int64))]


def weights(reference: DesignMatrix, columns: npt.NDArray[np.int64], settings: DetectorSettings) -> Floats:
    """The weight of each chosen column's metric domain."""
    return np.array([weight(reference.columns[column], settings) for column in columns])
