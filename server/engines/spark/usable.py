"""What of a part's rows may teach what is normal, and which groups its rows are in."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from server.domain.baseline import Level
from server.pipeline.baselines import Codes, Floats, Grouping
from server.pipeline.exclusion import KeptOut
from server.pipeline.presence import Presence
from server.pipeline.profile import Profile
from server.pipeline.table import FeatureTable

Numbered: TypeAlias = tuple[int, FeatureTable]
"""A part by its place among the parts."""


@dataclass(frozen=True, slots=True)
class Usable:
    """Which rows of a part may teach, and which group of each level they belong to."""

    kept_out: KeptOut
    grouping: Grouping
    levels: tuple[Level, ...]
    profile: Profile | None = None

    def around(self, profile: Profile | None) -> "Usable":
        """The same rows, seen around a profile."""
        return replace(self, profile=profile)

    def columns(self, table: FeatureTable) -> Iterator[Floats]:
        """Every feature in turn without its profile, NaN where a row may not teach."""
        usable = table.reference & ~self.kept_out.rows(table)
        cell = self.profile.cell(table.time, table.key("cohort")) if self.profile else None
        for place, feature in enumerate(table.plan.features):
            column = np.where(usable, table.column(feature.name), np.nan)
            if self.profile is not None and cell is not None:
                column -= self.profile.deviation[:, place][cell]
            yield column

    def codes(self, keyed: FeatureTable | Presence, rows: int) -> dict[Level, Codes]:
        """Group codes of rows (or stays) by level, for levels whose groups lie in several parts."""
        cohort = keyed.key("cohort")
        found = {Level.GLOBAL: np.zeros(rows, np.int32)}
        if Level.COHORT in self.levels:
            found[Level.COHORT] = cohort
        if Level.SITE in self.levels:
            found[Level.SITE] = self.grouping.site_codes(cohort, keyed.key(self.grouping.site_key))
        return found

    def groups(self, level: Level) -> int:
        """How many groups a level has."""
        return {Level.GLOBAL: 1, Level.COHORT: len(self.grouping.cohorts), Level.SITE: len(self.grouping.sites)}[level]
