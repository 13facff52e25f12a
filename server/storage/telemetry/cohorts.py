"""Which cohort a row belongs to when its own row does not say, or says it only in part.

A missing cohort value is the device's last known one at that time, else its first known later one, else `unknown`. That is
settled when rows are read, from all rows of the snapshot, so it cannot depend on the order in which they came.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from server.storage.telemetry.names import cohort_values

UNKNOWN = "unknown"
Cohort = tuple[str, ...]
Ids = NDArray[np.int64]


class CohortTable:
    """The cohort values behind the stored codes of one snapshot."""

    def __init__(self, columns: Sequence[str], texts: Sequence[str]) -> None:
        self._values = [sorted({cohort_values(text).get(column, UNKNOWN) for text in texts} | {UNKNOWN}) for column in columns]
        self._lookup = np.full((len(texts) + 1, len(columns)), -1, np.int64)  # the last row is for code -1: nothing known
        for code, text in enumerate(texts):
            for place, (column, values) in enumerate(zip(columns, self._values, strict=True)):
                known = cohort_values(text).get(column)
                self._lookup[code, place] = -1 if known is None else values.index(known)

    def incomplete(self, codes: Iterable[int]) -> frozenset[int]:
        """Those of the codes that leave a cohort value open."""
        return frozenset(code for code in codes if (self._lookup[code] < 0).any())

    def resolve(self, device: NDArray[np.int32], code: NDArray[np.int32]) -> Ids:
        """Value numbers by row and cohort column, for rows sorted by device and time."""
        ids = self._lookup[code]
        starts = np.flatnonzero(np.diff(device, prepend=-1))
        ends = np.append(starts[1:], len(device))
        first, last = np.repeat(starts, ends - starts), np.repeat(ends - 1, ends - starts)
        for place, values in enumerate(self._values):
            ids[:, place] = _filled(ids[:, place], first, last, values.index(UNKNOWN))
        return ids

    def distinct(self, ids: Ids) -> set[Cohort]:
        """The cohorts that these value numbers stand for."""
        return {self._cohort(row) for row in np.unique(ids, axis=0)}

    def of_codes(self, codes: Iterable[int]) -> set[Cohort]:
        """The cohorts of complete codes."""
        return {self._cohort(self._lookup[code]) for code in codes}

    def ranks(self, ids: Ids, cohorts: Sequence[Cohort]) -> NDArray[np.int32]:
        """Place of each row's cohort in `cohorts`."""
        place = {cohort: rank for rank, cohort in enumerate(cohorts)}
        distinct, inverse = np.unique(ids, axis=0, return_inverse=True)
        return np.array([place[self._cohort(row)] for row in distinct], np.int32)[inverse.ravel()]

    def rank_by_code(self, cohorts: Sequence[Cohort]) -> NDArray[np.int32]:
        """Place in `cohorts` by complete code, -1 for the others."""
        place = {cohort: rank for rank, cohort in enumerate(cohorts)}
        rows = (None if (row < 0).any() else self._cohort(row) for row in self._lookup)
        return np.array([-1 if cohort is None else place.get(cohort, -1) for cohort in rows], np.int32)

    def _cohort(self, ids: Ids) -> Cohort:
        return tuple(values[number] for values, number in zip(self._values, ids, strict=True))


def _filled(ids: Ids, first: Ids, last: Ids, unknown: int) -> Ids:
    """The ids with each gap (-1) taken from the row before, else the row after, within [first, last] of its device."""
    known, place = ids >= 0, np.arange(len(ids))
    before = np.maximum.accumulate(np.where(known, place, -1))
    after = np.minimum.accumulate(np.where(known, place, len(ids))[::-1])[::-1]
    from_after = np.where(after <= last, ids[np.minimum(after, len(ids) - 1)], unknown)
    return np.where(known, ids, np.where(before >= first, ids[np.maximum(before, 0)], from_after))
