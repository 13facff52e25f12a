"""Which groups are small enough for all of their values to be moved, and how those are spread over the workers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Level
from server.engines.spark.usable import Usable
from server.kernels.brackets import shares
from server.kernels.medians import rows_by_group
from server.pipeline.baselines import Codes, Floats
from server.pipeline.presence import Presence

Ints = npt.NDArray[np.int64]

SMALL_ROWS = 10_000
"""A group of up to so many rows is moved whole: brackets would move half of it, and take two more passes."""
SHELF_ROWS = 1_000_000
"""Rows, about, whose values of one feature one worker holds at a time."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A part's rows of some consecutive small groups of a level, by group and then in the part's order."""

    level: Level
    number: int
    group: Codes
    count: Codes
    rows: Codes


@dataclass(frozen=True, slots=True)
class Split:
    """Each level's groups, told apart into small and wide ones by how many rows they have.

    `shelf` gives each group a shelf, in ascending order; `share` is which share of each group to sample, for those levels only
    that have wide groups.
    """

    sizes: Mapping[Level, Ints]
    small: Mapping[Level, npt.NDArray[np.bool_]]
    shelf: Mapping[Level, Ints]
    share: Mapping[Level, Floats]

    @classmethod
    def of(cls, usable: Usable, presence: Presence) -> "Split":
        """The groups of the fleet."""
        codes = usable.codes(presence, len(presence.device))
        sizes = {
            level: np.bincount(code[code >= 0], presence.rows[code >= 0], usable.groups(level)).astype(np.int64)
            for level, code in codes.items()
        }
        small = {level: size <= SMALL_ROWS for level, size in sizes.items()}
        shelf = {level: np.cumsum(np.where(small[level], size, 0)) // SHELF_ROWS for level, size in sizes.items()}
        return cls(sizes, small, shelf, {level: shares(size) for level, size in sizes.items() if not small[level].all()})

    @property
    def shelves(self) -> int:
        """How many keys there are for each feature."""
        return len(self.share) + sum(len(self.shelves_of(level)) for level in self.sizes)

    def groups(self, level: Level) -> int:
        """How many groups a level has."""
        return len(self.sizes[level])

    def shelves_of(self, level: Level) -> range:
        """The shelves of a level; none if it has no small group."""
        return range(int(self.shelf[level][-1]) + 1) if self.small[level].any() else range(0)

    def range_of(self, level: Level, shelf: int) -> tuple[int, int]:
        """The first group of a shelf, and the group after its last."""
        first, end = np.searchsorted(self.shelf[level], [shelf, shelf + 1])
        return int(first), int(end)

    def wide(self, level: Level, codes: Codes) -> Codes:
        """The codes of wide groups, -1 for others."""
        return np.where(np.append(self.small[level], True)[codes], np.int32(-1), codes)

    def shelved(self, level: Level, codes: Codes) -> Iterator[Shelf]:
        """The rows of small groups, shelf by shelf."""
        if not self.small[level].any():
            return
        order, bounds = rows_by_group(np.where(np.append(self.small[level], False)[codes], codes, -1), self.groups(level))
        for number in self.shelves_of(level):
            first, end = self.range_of(level, number)
            count = np.diff(bounds[first : end + 1]).astype(np.int32)
            group = (first + np.flatnonzero(count)).astype(np.int32)
            if len(group):
                yield Shelf(level, number, group, count[count > 0], order[bounds[first] : bounds[end]])
