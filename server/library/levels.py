"""Baseline levels as the caller names them, checked and put in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pandas as pd

from server.domain.baseline import Level
from server.errors import InvalidInput
from server.library.notes import FrameNote


@dataclass(frozen=True, slots=True)
class BaselineLevel:
    """A level by name (global, cohort, site or device), the columns that make its groups, and the rows at which one counts.

    Sites lie within cohorts: those columns of a site that are none of the cohort's say where a device works.

    Raises:
        InvalidInput: there is no such level, or `min_rows` is below 2.
    """

    name: str
    group_columns: Sequence[str] = ()
    min_rows: int = 25

    def __post_init__(self) -> None:
        if self.name not in list(Level):
            near = get_close_matches(self.name, list(Level), n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise InvalidInput(f"there is no baseline level {self.name!r}.{hint} Levels are {', '.join(Level)}.")
        if self.min_rows < 2:
            raise InvalidInput(
                f"level {self.name}: min_rows={self.min_rows} is below 2, which is the fewest that have a spread."
            )
        columns = (self.group_columns,) if isinstance(self.group_columns, str) else tuple(self.group_columns)
        object.__setattr__(self, "group_columns", columns)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of one set of baselines, by name."""

    by_name: dict[Level, BaselineLevel]

    @property
    def cohort(self) -> tuple[str, ...]:
        """The columns that make a cohort."""
        return self.columns(Level.COHORT)

    @property
    def place(self) -> tuple[str, ...]:
        """The columns that say where within a cohort a device works."""
        return tuple(column for column in self.columns(Level.SITE) if column not in self.cohort)

    def columns(self, level: Level) -> tuple[str, ...]:
        """A level's group columns, none if the level is not kept."""
        return tuple(self.by_name[level].group_columns) if level in self.by_name else ()


def default_levels(note: FrameNote) -> list[BaselineLevel]:
    """The levels that a walk keeps: global, then cohort and site where columns say them, then device."""
    levels = [BaselineLevel("global")]
    levels += [BaselineLevel("cohort", note.cohort)] if note.cohort else []
    levels += [BaselineLevel("site", (*note.cohort, *note.place))] if note.place else []
    return [*levels, BaselineLevel("device", (note.device,))]


def checked_levels(levels: Sequence[BaselineLevel], frame: pd.DataFrame, note: FrameNote) -> Levels:
    """The levels by name.

    Raises:
        InvalidInput: a level is given twice, its columns are not the frame's or not fit for it, or the global one is missing.
    """
    by_name = {Level(level.name): level for level in levels}
    if len(by_name) < len(levels):
        raise InvalidInput("a baseline level is given twice. Give each of global, cohort, site and device at most once.")
    if Level.GLOBAL not in by_name:
        raise InvalidInput('the global level is missing, which all others fall back on. Add BaselineLevel("global").')
    for level in levels:
        _refuse_absent(level, frame)
    found = Levels(by_name)
    if found.columns(Level.GLOBAL):
        raise InvalidInput('the global level is the whole fleet and has no group columns. Write BaselineLevel("global").')
    if Level.DEVICE in by_name and note.device not in found.columns(Level.DEVICE):
        raise InvalidInput(f'the device level groups by {note.device!r}. Write BaselineLevel("device", [{note.device!r}]).')
    if Level.COHORT in by_name and not found.cohort:
        raise InvalidInput('the cohort level has no group columns. Name some, such as BaselineLevel("cohort", ["ModelId"]).')
    if Level.SITE in by_name and not found.place:
        raise InvalidInput(
            "the site level has no group column besides the cohort's. Name the store's or customer's column too."
        )
    return found


def _refuse_absent(level: BaselineLevel, frame: pd.DataFrame) -> None:
    for column in level.group_columns:
        if column not in frame.columns:
            near = get_close_matches(column, list(frame.columns), n=3)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise InvalidInput(
                f"level {level.name}: the features have no column {column!r}.{hint} "
                f"If the telemetry has it, add it: features[{column!r}] = frame[{column!r}]."
            )
