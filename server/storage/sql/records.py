"""`SqlRecords`: every method is one transaction around a function of its subject's file."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from server.domain.anomaly import Anomaly, AnomalyFilter, Incident
from server.domain.audit import AuditEntry
from server.domain.baseline import Baseline, BaselineVersion, DetectorVersion, Level
from server.domain.run import Run
from server.domain.telemetry import Fleet, Metric
from server.errors import AnomalystError
from server.storage.sql import anomalies, audit, baselines, detectors, incidents, registers, runs, scored
from server.storage.sql.corrections import SqlCorrectionRecords
from server.storage.sql.database import Database
from server.storage.sql.pruning import SqlRetention
from server.storage.sql.schema import bring_up_to_date
from server.storage.sql.state import State

if TYPE_CHECKING:
    import pyarrow as pa


class SqlRecords:
    """`Records` in SQLite or PostgreSQL; what each method promises stands in `server.storage.base`."""

    def __init__(self, url: str) -> None:
        """Open the store, made or migrated if needed. Raises `InvalidInput` for the URL, `Unavailable` for the store."""
        self._database = Database(url)
        try:
            bring_up_to_date(self._database)
        except AnomalystError:
            self._database.close()
            raise
        self._corrections, self._state = SqlCorrectionRecords(self._database), State(self._database)
        self._retention = SqlRetention(self._database)

    @property
    def corrections(self) -> SqlCorrectionRecords:
        """What people said and decided, in the same database: open until these records are closed."""
        return self._corrections

    @property
    def retention(self) -> SqlRetention:
        """The removal of old runs, in the same database: open until these records are closed."""
        return self._retention

    def state(self) -> str | None:
        """A token that changes with every commit, of any process; None where it cannot be told at once."""
        return self._state.now()

    def copy_to(self, path: Path) -> bool:
        """Write one state of all records to a new file, while others go on; False where they are on a database server."""
        return self._database.copy_to(path)

    def add_run(self, run: Run) -> None:
        """Store a new run. Raises `InvalidInput` if its tenant has one of that id."""
        with self._database.writing(f"run {run.fleet.tenant}") as connection:
            runs.add(connection, run)

    def run(self, tenant: str, run_id: str) -> Run:
        """The run. Raises `NotFound` with near matches."""
        with self._database.reading() as connection:
            return runs.one(connection, tenant, run_id)

    def runs(self, tenant: str, *, fleet: str | None = None, limit: int | None = 50, offset: int = 0) -> Sequence[Run]:
        """Newest first; without a limit all of them."""
        with self._database.reading() as connection:
            return runs.page(connection, tenant, fleet=fleet, limit=limit, offset=offset)

    def tenants(self) -> Sequence[str]:
        """All tenants that have a run, by name."""
        with self._database.reading() as connection:
            return runs.tenants(connection)

    def save_run(self, run: Run) -> Run:
        """Compare-and-set on `run.revision`; the run with its new revision. Raises `Unavailable` if another changed it."""
        with self._database.writing() as connection:
            return runs.save(connection, run)

    def add_baseline_version(
        self, version: BaselineVersion, statistics: "pa.Table | Iterable[pa.RecordBatch]"
    ) -> BaselineVersion:
        """The stored version with its number, or the one in force if that has the same digest."""
        with self._database.writing(f"baselines {version.fleet.tenant}") as connection:
            return baselines.add(connection, version, statistics)

    def baseline_version(self, fleet: Fleet, version: int | None = None) -> BaselineVersion | None:
        """That version, or the one in force."""
        with self._database.reading() as connection:
            return baselines.one(connection, fleet, version)

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
        """By level, group and feature."""
        with self._database.reading() as connection:
            return baselines.page(
                connection, fleet, version, level=level, group=group, feature=feature, limit=limit, offset=offset
            )

    def add_detector_version(self, version: DetectorVersion) -> DetectorVersion:
        """The stored version with its number, or the newest one if that has the same digest."""
        with self._database.writing(f"detectors {version.fleet.tenant}") as connection:
            return detectors.add(connection, version)

    def detector_version(self, fleet: Fleet, version: int | None = None) -> DetectorVersion | None:
        """That version, or the newest."""
        with self._database.reading() as connection:
            return detectors.one(connection, fleet, version)

    def register(self, run: Run, devices: Mapping[str, int], metrics: Sequence[Metric]) -> None:
        """Put these in place of what the fleet's registers held."""
        with self._database.writing(f"fleet {run.fleet.tenant}/{run.fleet.name}") as connection:
            registers.write(connection, run, devices, metrics)

    def devices(self, fleet: Fleet) -> Mapping[str, int]:
        """Rows of each device that the fleet's newest run saw, by name."""
        with self._database.reading() as connection:
            return registers.devices(connection, fleet)

    def metrics(self, fleet: Fleet) -> Sequence[Metric]:
        """The metrics that the fleet's newest run saw."""
        with self._database.reading() as connection:
            return registers.metrics(connection, fleet)

    def persist_scored(
        self, run: Run, scores_digest: str, anomalies: "pa.Table | Iterable[pa.RecordBatch]", incidents: Sequence[Incident]
    ) -> int:
        """Number of anomalies in the set, which is whole, durable and the run's newest when this returns."""
        with self._database.writing(f"scored {run.fleet.tenant}") as connection:
            return scored.persist(connection, run, scores_digest, anomalies, incidents)

    def anomalies(
        self, tenant: str, wanted: AnomalyFilter, *, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Anomaly], int]:
        """Worst first, and how many there are in all."""
        with self._database.reading() as connection:
            return anomalies.page(connection, tenant, wanted, limit=limit, offset=offset)

    def anomaly(self, tenant: str, anomaly_id: str) -> Anomaly:
        """As the newest set has it that holds it. Raises `NotFound` with near matches."""
        with self._database.reading() as connection:
            return anomalies.one(connection, tenant, anomaly_id)

    def incidents(
        self, tenant: str, *, fleet: str | None = None, run_id: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Incident], int]:
        """Ranked by severity times devices, and how many there are in all."""
        with self._database.reading() as connection:
            return incidents.page(connection, tenant, fleet=fleet, run=run_id, limit=limit, offset=offset)

    def incident(self, tenant: str, incident_id: str) -> Incident:
        """As the newest set has it that holds it. Raises `NotFound` with near matches."""
        with self._database.reading() as connection:
            return incidents.one(connection, tenant, incident_id)

    def append_audit(self, entry: AuditEntry) -> None:
        """Append to the tenant's hash chain."""
        with self._database.writing(f"audit {entry.tenant}") as connection:
            audit.append(connection, entry)

    def audit(self, tenant: str, *, limit: int = 100, offset: int = 0) -> Sequence[AuditEntry]:
        """Newest first."""
        with self._database.reading() as connection:
            return audit.page(connection, tenant, limit=limit, offset=offset)

    def verify_audit(self, tenant: str) -> int:
        """Number of rows checked. Raises `ArtifactDamaged` naming the first row that is not as it was written."""
        with self._database.reading() as connection:
            return audit.verify(connection, tenant)

    def close(self) -> None:
        """Give back all connections."""
        self._state.close()
        self._database.close()
