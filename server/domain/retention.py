"""What may be removed by age, and what was."""

from datetime import datetime, timedelta

from pydantic import Field

from server.domain.telemetry import Frozen


class Retention(Frozen):
    """What is kept. What is unset removes nothing; a run goes if it is beyond each of the two bounds that are set."""

    keep_runs: int | None = Field(default=None, ge=1, description="the newest runs of each fleet that stay")
    runs_older_than: timedelta | None = Field(default=None, gt=timedelta(0))
    telemetry_older_than: timedelta | None = Field(default=None, gt=timedelta(0))

    @property
    def removes_runs(self) -> bool:
        """Whether any run may go."""
        return self.keep_runs is not None or self.runs_older_than is not None


class PrunedRun(Frozen):
    """A run, its anomalies in every set and its artifacts."""

    run: str
    fleet: str
    created: datetime
    anomalies: int = 0
    bytes: int = Field(default=0, description="of its artifacts")


class KeptRun(Frozen):
    """A run that is old enough to go, and stays."""

    run: str
    fleet: str
    why: str


class PrunedTelemetry(Frozen):
    """Rows of one fleet before a time."""

    fleet: str
    before: datetime
    retired: int = Field(default=0, description="rows that no new run reads from now on")
    removed: int = Field(default=0, description="rows that no run that has to be kept reads, and that are gone")
    waiting: int = Field(default=0, description="retired rows that a kept run still reads; they go with it")
    aside: int = Field(default=0, description="rows kept aside that are gone")
    bytes: int = Field(default=0, description="about what the removed rows take, by their share of the file")


class Pruned(Frozen):
    """What pruning removed, or with `dry_run` would."""

    dry_run: bool
    runs: tuple[PrunedRun, ...] = ()
    kept: tuple[KeptRun, ...] = ()
    left_over: int = Field(default=0, description="bytes of artifacts that an earlier, killed pruning had left")
    telemetry: tuple[PrunedTelemetry, ...] = ()
    uploads: int = Field(default=0, description="uploaded files that no run has ingested in time")
    upload_bytes: int = Field(default=0, description="of those files")

    @property
    def bytes(self) -> int:
        """Bytes of artifacts, of uploads and, about, of telemetry."""
        return self.left_over + self.upload_bytes + sum(each.bytes for each in (*self.runs, *self.telemetry))
