"""Facts of runs: what each did, its versions of baselines and detector, its anomalies and incidents, and the audit trail."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from server.domain.anomaly import Anomaly, AnomalyFilter, Incident
from server.domain.audit import AuditEntry
from server.domain.baseline import Baseline, BaselineVersion, DetectorVersion, Level
from server.domain.run import Run
from server.domain.telemetry import Fleet, Metric

Rows = pa.Table | Iterable[pa.RecordBatch]
"""Many rows for `Records`, with the columns of a schema in `server.storage.columns`; small sets are converted there."""


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

    def add_run(self, run: Run) -> None:
        """Store a new run. Raises `InvalidInput` if its tenant has one of that id."""
        ...

    def run(self, tenant: str, run_id: str) -> Run:
        """Raises `NotFound` with near matches."""
        ...

    def runs(self, tenant: str, *, fleet: str | None = None, limit: int | None = 50, offset: int = 0) -> Sequence[Run]:
        """Newest first; without a limit all of them."""
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
        """That version, or the one in force; None if there is none."""
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
    ) -> Sequence[Baseline]:
        """Those of a version that are of a level, a group and a feature, if named; in that order."""
        ...

    def add_detector_version(self, version: DetectorVersion) -> DetectorVersion:
        """Store as the fleet's next version (the given number is ignored). Same digest as the newest: no-op."""
        ...

    def detector_version(self, fleet: Fleet, version: int | None = None) -> DetectorVersion | None:
        """That version, or the newest; None if there is none."""
        ...

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

    def anomaly(self, tenant: str, anomaly_id: str) -> Anomaly:
        """As the newest set has it that holds it. Raises `NotFound` with near matches."""
        ...

    def incidents(
        self, tenant: str, *, fleet: str | None = None, run_id: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Incident], int]:
        """Ranked by severity times devices, and how many there are in all."""
        ...

    def incident(self, tenant: str, incident_id: str) -> Incident:
        """As the newest set has it that holds it. Raises `NotFound` with near matches."""
        ...

    def append_audit(self, entry: AuditEntry) -> None:
        """Append to the tenant's hash chain: each row holds the hash of the one before, so any edit shows.

        Raises:
            InvalidInput: its time says no zone.
        """
        ...

    def audit(self, tenant: str, *, limit: int = 100, offset: int = 0) -> Sequence[AuditEntry]:
        """Newest first."""
        ...

    def verify_audit(self, tenant: str) -> int:
        """Number of rows checked. Raises `ArtifactDamaged` naming the first row that was edited, removed or reordered."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...
