"""The fleet's daily or weekly rhythm from a table in parts: the sampled devices' rows, gathered a feature at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from server.domain.settings import BaselineSettings
from server.engines.spark.cluster import Cluster
from server.engines.spark.usable import Numbered, Usable
from server.pipeline.baselines import Codes, Floats, column_profile
from server.pipeline.presence import Presence
from server.pipeline.profile import Profile, ProfileSample, profile_hours, rows_for_profile, sampled_for_profile

Ints = npt.NDArray[np.int64]


def profile_of(
    cluster: Cluster, parts: Sequence[Numbered], usable: Usable, presence: Presence, settings: BaselineSettings
) -> Profile | None:
    """The profile of the fleet, from the devices that `sample_for_profile` would take."""
    begins = np.flatnonzero(np.diff(presence.device, prepend=-1))
    ends = np.append(begins[1:], len(presence.device)) - 1
    hours = profile_hours(presence.first[begins], presence.last[ends], settings.profile_days)
    if hours is None:
        return None
    devices = presence.device[begins[sampled_for_profile(presence.cohort[begins])]]
    keys = [found for found in cluster.over(partial(_keys, devices=devices), parts) if len(found[0])]
    device, time, cohort = (np.concatenate(each) for each in zip(*keys, strict=True))
    bounds = np.append(np.flatnonzero(np.diff(device, prepend=-1)), len(device)).astype(np.int64)
    width, cohorts = len(parts[0][1].plan.features), len(usable.grouping.cohorts)
    fit = _Fit(time, cohort, bounds, cohorts, hours)
    taken = cluster.by_key(
        partial(_taken, usable=usable, devices=devices), parts, keys=width, moved=len(time) * width * time.itemsize
    )
    columns = taken.map(fit)
    return Profile.of((cohorts + 1) * hours, hours, [columns[place] for place in range(width)])


def _keys(part: Numbered, devices: Codes) -> tuple[Codes, Ints, Codes]:
    _, table = part
    wanted = np.isin(table.key("device"), devices)
    return table.key("device")[wanted], table.time[wanted], table.key("cohort")[wanted]


def _taken(part: Numbered, usable: Usable, devices: Codes) -> Iterator[tuple[int, Floats]]:
    _, table = part
    wanted = np.isin(table.key("device"), devices)
    if wanted.any():
        yield from ((place, column[wanted]) for place, column in enumerate(usable.columns(table)))


@dataclass(frozen=True)
class _Fit:
    """Fits features' profiles to the rows of the sampled devices, which are sorted out once for all that a task has to fit."""

    time: Ints
    cohort: Codes
    bounds: Ints
    cohorts: int
    hours: int

    @cached_property
    def rows(self) -> ProfileSample:
        """The rows by cell."""
        return rows_for_profile(self.time, self.cohort, self.bounds, self.cohorts, self.hours)

    def __call__(self, _: int, values: Sequence[Floats]) -> Floats | None:
        """One feature's profile."""
        work = np.empty((2, int(np.diff(self.bounds).max(initial=0)) + 1))
        return column_profile(np.concatenate(values), self.bounds, self.rows, work)
