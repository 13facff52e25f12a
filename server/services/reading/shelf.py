"""The scored rows of the runs that were last asked about, kept at hand: denominators of every rate come from them."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.domain.run import Run, Stage
from server.domain.telemetry import Members, Snapshot
from server.errors import StageNotReady
from server.pipeline.parts import read_columns
from server.services.stages import Stages
from server.storage.moments import microseconds, moment

Codes = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_COLUMNS = ["device", "cohort", "store", "customer", "time", "score", "severity", "is_anomaly"]
_KEPT = 2


@dataclass(frozen=True)
class Shown:
    """Every row of the scored set that is persisted, sorted by device and time; codes as in `members`."""

    run: Run
    snapshot: Snapshot
    members: Members
    device: Codes
    cohort: Codes
    store: Codes
    customer: Codes
    time: Times
    score: Floats
    severity: Floats
    flagged: Flags
    top_metric: pa.Array
    """Of the flagged rows, in their order."""

    @cached_property
    def code(self) -> dict[str, int]:
        """Device codes by name."""
        return {name: code for code, name in enumerate(self.members.devices)}

    @cached_property
    def cohorts(self) -> tuple[str, ...]:
        """Cohorts as people see them, by code."""
        return tuple(" / ".join(cohort) for cohort in self.members.cohorts)

    def span(self) -> tuple[datetime, datetime]:
        """First and last event time."""
        return moment(int(self.time.min())), moment(int(self.time.max()))

    def between(self, since: datetime | None, until: datetime | None) -> Flags:
        """Which rows are in [since, until]."""
        inside = np.ones(len(self.time), bool)
        if since is not None:
            inside &= self.time >= microseconds(since)
        if until is not None:
            inside &= self.time <= microseconds(until)
        return inside

    def about(self, metric: str | None) -> Flags:
        """Which rows are flagged, with that metric most at fault if one is named."""
        if metric is None:
            return self.flagged
        found = self.flagged.copy()
        found[self.flagged] = np.asarray(self.top_metric.to_numpy(zero_copy_only=False) == metric)
        return found

    def cohort_at(self, device: int, when: datetime | None = None) -> int:
        """The device's cohort code at its last row up to that time, else at its first; -1 for none."""
        rows = np.flatnonzero(self.device == device)
        if when is not None:
            rows = np.concatenate([rows[:1], rows[self.time[rows] <= microseconds(when)]])
        return int(self.cohort[rows[-1]]) if len(rows) else -1


class Shelf:
    """Keeps the scored rows of two runs in memory. Safe for several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], Shown] = OrderedDict()
        self._guard = Lock()

    def take(self, stages: Stages, run: Run) -> Shown:
        """The rows of the run's persisted set, also while its scores are made anew.

        Raises:
            StageNotReady: the run has none yet.
        """
        persisted, scored = run.done(Stage.PERSIST), run.done(Stage.SCORE)
        if persisted is None or scored is None:
            raise StageNotReady("this answer", Stage.PERSIST.value, "not done yet")
        key = (run.fleet.tenant, run.id, persisted.digest)
        with self._guard:
            if key not in self._kept:
                artifact = scored.artifact.replace(scored.digest, persisted.digest)
                self._kept[key] = _read(stages, run.with_record(scored.model_copy(update={"artifact": artifact})))
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


def _read(stages: Stages, run: Run) -> Shown:
    table = read_columns(stages.scores(run), [*_COLUMNS, "top_metric"])
    columns = {name: table.column(name).to_numpy() for name in _COLUMNS}
    flagged = columns.pop("is_anomaly").astype(bool)
    top_metric = table.column("top_metric").combine_chunks().filter(pa.array(flagged))
    return Shown(
        run=run, snapshot=stages.snapshot(run), members=stages.members(run), flagged=flagged, top_metric=top_metric, **columns
    )
