"""What the services need of storage. Engines are named in `server.app` only."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.connectors.base import Source
from server.domain.anomaly import Anomaly, AnomalyFilter, Incident
from server.domain.audit import AuditEntry
from server.domain.baseline import Baseline, BaselineVersion, DetectorVersion, Level
from server.domain.feedback import ExpectedRule, Feedback, FeedbackFilter
from server.domain.memory import Recalled, RecallQuery, RememberedDecision
from server.domain.retention import PrunedTelemetry
from server.domain.run import Run
from server.domain.suggestion import Decision, Effect, Preview, StandingSuggestion, Suggestion, SuggestionStatus
from server.domain.telemetry import Change, Fleet, FleetHealth, IngestReport, Members, Metric, Rejection, Snapshot

Rows = pa.Table | Iterable[pa.RecordBatch]
"""Many rows for `Records`, with the columns of a schema in `server.storage.columns`; small sets are converted there."""

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


@dataclass(frozen=True, slots=True)
class QueryRows:
    """What a query gave: names and types of its columns, and at most as many rows as were asked for."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[object, ...]]
    truncated: bool


class LockedQueries(Protocol):
    """Foreign SQL over one table that is handed to it, in a database of its own that holds nothing else and reaches nothing."""

    def columns(self, sql: str) -> frozenset[str] | None:
        """The column names that the query reads, in lower case; None if it may read all (`*`).

        Raises:
            InvalidInput: it is not exactly one SELECT, reads another table, or calls what is not allowed.
        """
        ...

    def run(self, table: pa.Table, sql: str, *, limit: int) -> QueryRows:
        """The first `limit` rows of the query over `table`, which it calls `telemetry`.

        Raises:
            InvalidInput: as `columns` does, or it fails, takes too long or too much memory.
        """
        ...


class ArtifactStore(Protocol):
    """Content-addressed files: a name holds the digest of the bytes, checked when the artifact is opened."""

    def write(self, run: str, stage: str, suffix: str, writer: Callable[[Path], object]) -> str:
        """Call `writer` with a temporary path, then move the file in place, durable.

        Returns its name `<stage>-<digest><suffix>`.
        """
        ...

    def open(self, run: str, name: str) -> Path:
        """Path of a verified artifact.

        Raises:
            NotFound: it is absent.
            ArtifactDamaged: its bytes are not what its name says.
        """
        ...

    def names(self) -> Iterator[tuple[str, str]]:
        """Run and name of every artifact that there is, in order."""
        ...

    def digest(self, name: str) -> str:
        """The digest in an artifact's name."""
        ...

    def size(self, run: str) -> int:
        """Bytes of all files of a run; 0 if it has none."""
        ...

    def remove(self, run: str) -> None:
        """Remove all files of a run. One without any changes nothing."""
        ...


class Records(Protocol):
    """Facts in SQL. Every call names its tenant (or a fleet, which holds one); another tenant's rows do not exist for it.

    Each method is one transaction. Raises `Unavailable` when the store cannot be reached or cannot take a write.
    """

    def state(self) -> str | None:
        """A token of the records' state: equal ones mean that nothing was committed in between, by this process or another.

        None where it cannot be told at once. Cheap, and never waits for a writer.
        """
        ...

    def copy_to(self, path: Path) -> bool:
        """Write one state of all records to a new file, while others go on; False where they are on a database server.

        Raises:
            Unavailable: the copy cannot be written.
        """
        ...

    def add_run(self, run: Run) -> None: ...
    def run(self, tenant: str, run_id: str) -> Run:
        """Raises `NotFound` with near matches."""
        ...

    def runs(self, tenant: str, *, fleet: str | None = None, limit: int = 50, offset: int = 0) -> Sequence[Run]:
        """Newest first."""
        ...

    def tenants(self) -> Sequence[str]:
        """All tenants that have a run, by name: for whoever keeps the stores, never for a tenant's own call."""
        ...

    def save_run(self, run: Run) -> Run:
        """Compare-and-set on `run.revision`; returns the run with its new revision.

        Raises:
            Unavailable: another changed it.
        """
        ...

    def add_baseline_version(self, version: BaselineVersion, statistics: Rows) -> BaselineVersion:
        """Store as the fleet's next version (its number is ignored), expire the one before. Digest already in force: no-op.

        `statistics` has the columns of `BASELINE_COLUMNS`. Whole or not at all, also if the iterable raises midway.
        """
        ...

    def baseline_version(self, fleet: Fleet, version: int | None = None) -> BaselineVersion | None:
        """That version, or the one in force."""
        ...

    def baselines(
        self,
        fleet: Fleet,
        version: int,
        *,
        level: Level | None = None,
        group: str | None = None,
        feature: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Sequence[Baseline]: ...

    def add_detector_version(self, version: DetectorVersion) -> DetectorVersion:
        """Store as the fleet's next version (the given number is ignored). Same digest as the newest: no-op."""
        ...

    def detector_version(self, fleet: Fleet, version: int | None = None) -> DetectorVersion | None: ...

    def register(self, run: Run, devices: Mapping[str, int], metrics: Sequence[Metric]) -> None:
        """Put these in place of what the fleet's registers of devices (name to rows) and metrics held."""
        ...

    def devices(self, fleet: Fleet) -> Mapping[str, int]:
        """Rows of each device that the fleet's newest run saw, by name; empty for a fleet never walked."""
        ...

    def metrics(self, fleet: Fleet) -> Sequence[Metric]:
        """The metrics that the fleet's newest run saw."""
        ...

    def persist_scored(self, run: Run, scores_digest: str, anomalies: Rows, incidents: Sequence[Incident]) -> int:
        """Store one scored set whole or not at all. Returns the number of anomalies that it holds.

        `anomalies` has the columns of `ANOMALY_COLUMNS`. The same digest again stores nothing, but makes that set the run's
        newest again (so a rollback shows what it showed). The newest set of a fleet's newest run that has one is what
        `anomalies` and `incidents` show unless a run is named; older sets are kept.

        Raises:
            NotFound: the run is not stored.
            InvalidInput: columns are missing or hold what they may not; nothing is stored.
        """
        ...

    def anomalies(
        self, tenant: str, wanted: AnomalyFilter, *, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Anomaly], int]:
        """Worst first, and how many there are in all."""
        ...

    def anomaly(self, tenant: str, anomaly_id: str) -> Anomaly: ...
    def incidents(
        self, tenant: str, *, fleet: str | None = None, run_id: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Incident], int]:
        """Ranked by severity times devices, and how many there are in all."""
        ...

    def incident(self, tenant: str, incident_id: str) -> Incident: ...
    def append_audit(self, entry: AuditEntry) -> None:
        """Append to the tenant's hash chain: each row holds the hash of the one before, so any edit shows."""
        ...

    def audit(self, tenant: str, *, limit: int = 100, offset: int = 0) -> Sequence[AuditEntry]: ...
    def verify_audit(self, tenant: str) -> int:
        """Number of rows checked. Raises `ArtifactDamaged` naming the first row that was edited, removed or reordered."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that applying one suggestion changes, to be stored in one transaction."""

    suggestion: Suggestion
    run: Run
    """The run as it is to be, with the revision that it was read at."""
    version: BaselineVersion | None
    """The next baseline version (its number is given by the store); None if only the detector's settings change."""
    statistics: Rows | None
    """Its baselines, with the columns of `BASELINE_COLUMNS`."""
    effect: Effect
    audit: AuditEntry


class CorrectionRecords(Protocol):
    """Verdicts, rules, suggestions, decisions and their effects in SQL, beside `Records` and by the same rules.

    Each method is one transaction; what changes something appends its audit entry in the same one.
    """

    def add_feedback(self, rows: Sequence[Feedback], audit: AuditEntry) -> int:
        """Store one act's verdicts. A current verdict on the same fleet, device and time is superseded, and kept.

        Returns how many were superseded. The same act again stores nothing and returns 0.
        """
        ...

    def feedback(
        self, tenant: str, wanted: FeedbackFilter, *, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Feedback], int]:
        """Newest first, and how many there are in all."""
        ...

    def add_rule(self, rule: ExpectedRule, audit: AuditEntry) -> None:
        """Store a rule. The same id again changes nothing."""
        ...

    def rules(self, tenant: str, *, fleet: str | None = None, active_at: datetime | None = None) -> Sequence[ExpectedRule]:
        """Newest first; with `active_at` only those in force then."""
        ...

    def end_rule(self, tenant: str, rule_id: str, time: datetime, audit: AuditEntry) -> ExpectedRule:
        """End a rule early. One that has ended stays as it is. Raises `NotFound` with near matches."""
        ...

    def add_suggestion(self, suggestion: Suggestion, audit: AuditEntry) -> None:
        """Store a new suggestion, pending."""
        ...

    def suggestion(self, tenant: str, suggestion_id: str, *, now: datetime) -> StandingSuggestion:
        """With its status now: expired or stale ones say so. Raises `NotFound` with near matches."""
        ...

    def suggestions(
        self,
        tenant: str,
        *,
        now: datetime,
        fleet: str | None = None,
        status: SuggestionStatus | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[Sequence[StandingSuggestion], int]:
        """Newest first, and how many there are in all."""
        ...

    def save_preview(self, tenant: str, preview: Preview) -> None:
        """Keep a preview as its suggestion's newest. The same digest again changes nothing."""
        ...

    def preview(self, tenant: str, digest: str) -> Preview | None:
        """The preview with that digest, if it was made."""
        ...

    def decide(self, tenant: str, decision: Decision, audit: AuditEntry) -> StandingSuggestion:
        """Compare-and-set from pending to approved or rejected.

        Raises:
            NotFound: no such suggestion.
            ApprovalStale: it is not pending (another decided, it expired, its baselines are no longer in force), or
                `decision.digest` is not its digest.
        """
        ...

    def apply(self, application: Application, *, now: datetime) -> Effect:
        """Consume the approval, store the version (expiring the one before), the run, the effect and the audit row.

        All of it or nothing. A suggestion that was applied already changes nothing and gives its effect as stored.

        Raises:
            ApprovalMissing: it is pending or rejected.
            ApprovalStale: the approval expired, is of another digest, or the base version is no longer in force.
            Unavailable: another changed the run.
        """
        ...

    def effects(self, tenant: str, *, fleet: str | None = None, limit: int = 50, offset: int = 0) -> Sequence[Effect]:
        """The ledger, newest first."""
        ...

    def effect(self, tenant: str, suggestion_id: str) -> Effect | None:
        """The entry of one suggestion."""
        ...

    def save_effect(self, effect: Effect) -> None:
        """Complete an entry after the window was scored again, or note that it was undone. Raises `NotFound`."""
        ...


class DecisionMemory(Protocol):
    """Remembered decisions under a numeric signature and their words. Losing it loses nothing: SQL rebuilds it.

    Safe to call from several threads. Raises `Unavailable` when the store does not answer.
    """

    def remember(self, decisions: Sequence[RememberedDecision]) -> None:
        """Store or replace, by id."""
        ...

    def recall(self, query: RecallQuery, *, limit: int = 5) -> Sequence[Recalled]:
        """The decisions most like the case, best first; of the query's tenant only."""
        ...

    def rebuild(self, decisions: Iterable[RememberedDecision]) -> int:
        """Forget everything and remember these; returns how many."""
        ...

    def count(self, tenant: str) -> int:
        """How many decisions are remembered."""
        ...

    def close(self) -> None:
        """Release the store."""
        ...
