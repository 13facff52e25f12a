"""Telemetry: rows stored and frozen in snapshots, read block by block, kept aside with a reason, and retired."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.connectors.base import Source
from server.domain.retention import PrunedTelemetry
from server.domain.telemetry import Change, Fleet, FleetHealth, IngestReport, Members, Metric, Rejection, Snapshot

Progress = Callable[[int, int | None], None]
"""Called with (rows done, rows in all if known)."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was kept aside, as it came."""

    reason: Rejection
    source: str
    seen: datetime
    row: str


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Which stored row each row of a source became, or would have become had it been kept. Each has one entry a row."""

    device: pa.Array
    """Text, null where missing."""
    time: npt.NDArray[np.int64]
    """Microseconds since 1970 UTC."""
    known: npt.NDArray[np.bool_]
    """Whether device and time could both be read."""


class TelemetryStore(Protocol):
    """Telemetry rows of every fleet. One process opens it; other processes get `StoreBusy`."""

    def ingest(
        self,
        fleet: Fleet,
        source: Source,
        catalogue: Sequence[Metric],
        *,
        fit_split: str | None,
        now: datetime,
        progress: Progress,
    ) -> IngestReport:
        """Store the source's rows in one transaction; the same source again changes nothing.

        Raises:
            InvalidInput: the source has no rows, or shares no metric with what the fleet already has.
            Unavailable: the disk is full; nothing of this ingest is stored.
        """
        ...

    def snapshot(self, fleet: Fleet, *, start: datetime | None = None, end: datetime | None = None) -> Snapshot:
        """Freeze what is stored now (optionally only event times in [start, end]).

        Raises:
            NotFound: the fleet has no rows.
        """
        ...

    def members(self, snapshot: Snapshot) -> Members:
        """The names behind the codes in this snapshot's blocks."""
        ...

    def differences(self, before: Snapshot, after: Snapshot) -> Mapping[str, int] | None:
        """First time (microseconds since 1970 UTC) from which each device's rows differ between two snapshots, by name.

        Devices that are not named have the same rows in both. None where what is read of a row depends on more than it, so
        that rows at other times may differ as well.
        """
        ...

    def blocks(
        self, snapshot: Snapshot, *, rows: int, devices: Sequence[int] | None = None, since: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Whole devices, sorted by device and time, about `rows` rows a block (a larger device is one block).

        Columns: device, cohort, store, customer (int32 codes, -1 for none), time (int64, microseconds since 1970 UTC),
        reference (bool: may be fitted on), then one float64 column a metric in the snapshot's order, NaN where missing.
        `devices` restricts to those device codes. `since` holds a time (microseconds since 1970 UTC) by device code: each
        block is then of the same devices as without it, begins at the earliest of their times, and may be empty.
        """
        ...

    def rejected(self, fleet: Fleet, *, limit: int) -> Sequence[RejectedRow]:
        """Rows kept aside, newest first."""
        ...

    def changes(self, fleet: Fleet, *, start: datetime, end: datetime) -> Sequence[Change]:
        """Change-log rows in [start, end], oldest first."""
        ...

    @property
    def writes(self) -> int:
        """How many writes of rows have ended since the store was opened: while it stays the same, so do the rows."""
        ...

    def extent(self, fleet: Fleet) -> tuple[datetime | None, datetime | None]:
        """First and last event time stored now. Raises `NotFound` for a fleet never ingested."""
        ...

    def health(self, fleet: Fleet) -> FleetHealth:
        """What is stored of the fleet now, and what was kept aside. Raises `NotFound` for a fleet never ingested."""
        ...

    def prune(
        self, fleet: Fleet, *, before: datetime, needed: Collection[int], now: datetime, dry_run: bool
    ) -> PrunedTelemetry:
        """Retire rows before a time: no later snapshot sees them. Delete those that no snapshot of a needed sequence sees.

        All of it or nothing. Reading a snapshot that lost a row raises `TelemetryPruned` from then on. A fleet never ingested
        has nothing to remove.

        Raises:
            Unavailable: the disk is full; nothing was changed.
        """
        ...

    def copied(self) -> AbstractContextManager[Path]:
        """A file with one state of the whole store, removed afterwards; reading and writing go on meanwhile.

        Raises:
            Unavailable: the disk is full, or another copy is being made.
        """
        ...

    def close(self) -> None:
        """Release the files."""
        ...
