"""How a snapshot is cut into parts: whole devices in order of their codes, by their numbers of rows and by nothing else.

The same snapshot has the same parts on any cluster, so its artifacts have the same names there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PART_ROWS = 250_000
"""Rows of a part, about: at 32 features 64 MiB as a file, and a task of some seconds."""
BLOCK_ROWS = 100_000
"""Rows of a row group within it, about: what a task holds as matrices at a time."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive devices from code `first` to `last`, written as blocks of so many rows each.

    `ends` are the codes after the last device of each block.
    """

    first: int
    last: int
    blocks: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Rows of all its devices."""
        return sum(self.blocks)


def cut(rows: Sequence[int], *, part_rows: int = PART_ROWS, block_rows: int = BLOCK_ROWS) -> list[Part]:
    """The parts of a snapshot whose devices have so many rows each. A device larger than a block is a block, however large."""
    parts: list[Part] = []
    for first, last in _runs(rows, part_rows):
        own = rows[first : last + 1]
        runs = _runs(own, block_rows)
        sizes, ends = (sum(own[start : end + 1]) for start, end in runs), (first + end + 1 for _, end in runs)
        parts.append(Part(first, last, tuple(sizes), tuple(ends)))
    return parts


def _runs(rows: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """First and last place of consecutive items that sum up to at most the limit, or are single."""
    runs: list[tuple[int, int]] = []
    start, held = 0, 0
    for place, count in enumerate(rows):
        if place > start and held + count > limit:
            runs.append((start, place - 1))
            start, held = place, 0
        held += count
    return [*runs, (start, len(rows) - 1)] if rows else []
