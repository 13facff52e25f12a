"""A run is a walk over stages; the order is one table, and a guard reads it.

A stage is ready when everything it needs is present *and* fresh: a run remembers the digest of every input
each stage was built from, so a new baseline version makes training and all below it stale with no further rule.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet, Frozen
from server.errors import StageNotReady


class Stage(StrEnum):
    """The verbs of the walk, in order; MCP, HTTP and the command line spell them the same way."""

    INGEST = "ingest_telemetry"
    FEATURES = "engineer_features"
    BASELINES = "compute_baselines"
    TRAIN = "train_detector"
    SCORE = "score_telemetry"
    PERSIST = "persist_anomalies"


REQUIRES: Mapping[Stage, tuple[Stage, ...]] = {
    Stage.INGEST: (),
    Stage.FEATURES: (Stage.INGEST,),
    Stage.BASELINES: (Stage.INGEST, Stage.FEATURES),
    Stage.TRAIN: (Stage.FEATURES, Stage.BASELINES),
    Stage.SCORE: (Stage.FEATURES, Stage.BASELINES, Stage.TRAIN),
    Stage.PERSIST: (Stage.SCORE,),
}


class StageStatus(StrEnum):
    """How a stage's last attempt ended."""

    DONE = "done"
    FAILED = "failed"


class StageRecord(Frozen):
    """What a stage made, from what. `consumed` maps each input (a prerequisite's name) to its digest then."""

    stage: Stage
    status: StageStatus
    digest: str = Field(default="", description="of the artifact it made; empty if it failed")
    artifact: str = Field(default="", description="file name below the run's artifact folder")
    consumed: dict[str, str] = Field(default={})
    rows: int = 0
    summary: str = ""
    error: str = ""
    fallback: str = Field(default="", description="why raw features are used instead of z-scores; empty if they are not")
    started: datetime
    finished: datetime


class SourceSpec(Frozen):
    """Where a run's telemetry comes from: a connector, what it is to open, and its options. Holds no secrets."""

    connector: str
    location: str
    options: dict[str, str] = Field(default={})


class Run(Frozen):
    """One walk of one fleet: its frozen settings and the records of the stages done so far."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    fleet: Fleet
    settings: WalkSettings
    created: datetime
    source: SourceSpec
    revision: int = Field(default=0, description="grows by one with every change: the guard of compare-and-set")
    stages: dict[Stage, StageRecord] = Field(default={})

    def done(self, stage: Stage) -> StageRecord | None:
        """The stage's record if its last attempt succeeded, fresh or not."""
        record = self.stages.get(stage)
        return record if record and record.status is StageStatus.DONE else None

    def inputs(self, stage: Stage) -> dict[str, str]:
        """The digests that the stage would consume now, by prerequisite."""
        return {need.value: record.digest for need in REQUIRES[stage] if (record := self.done(need))}

    def is_fresh(self, stage: Stage) -> bool:
        """Whether the stage is done, on the current digests, and all it stands on is fresh too."""
        record = self.done(stage)
        return record is not None and record.consumed == self.inputs(stage) and all(map(self.is_fresh, REQUIRES[stage]))

    def next_stage(self) -> Stage | None:
        """The first stage in order that is missing, failed or stale; None when the walk is complete."""
        return next((stage for stage in Stage if not self.is_fresh(stage)), None)

    def with_record(self, record: StageRecord) -> "Run":
        """This run with the stage's record replaced; a failure keeps nothing of the stage's earlier result."""
        return self.model_copy(update={"stages": {**self.stages, record.stage: record}})


def require_ready(run: Run, stage: Stage) -> None:
    """Return if the stage may run now.

    Raises:
        StageNotReady: naming the earliest missing, failed or stale prerequisite as the verb to call next.
    """
    for need in Stage:
        if need in _ancestors(stage) and not run.is_fresh(need):
            raise StageNotReady(stage.value, need.value, _why_not(run, need))


def _ancestors(stage: Stage) -> frozenset[Stage]:
    direct = frozenset(REQUIRES[stage])
    return direct.union(*(_ancestors(need) for need in direct))


def _why_not(run: Run, stage: Stage) -> str:
    record = run.stages.get(stage)
    if record is None:
        return "missing"
    if record.status is StageStatus.FAILED:
        return f"failed: {record.error}"
    now = run.inputs(stage)
    changed = [name for name in record.consumed if now.get(name) != record.consumed[name]]
    return f"stale: {', '.join(changed)} changed since" if changed else "stale"
