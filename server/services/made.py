"""What the stages of a run have made, read from the stores."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from server.connectors.registry import Connectors
from server.detectors.registry import Detectors
from server.detectors.stored import Trained, read_trained
from server.domain.baseline import BaselineVersion, DetectorVersion
from server.domain.run import Run, Stage, StageRecord
from server.domain.telemetry import Fleet, IngestReport, Members, Metric, Snapshot
from server.engines.base import Engine
from server.errors import StageNotReady
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.features import plan_features
from server.pipeline.stored import read_baselines
from server.pipeline.table import FeatureTable
from server.storage.base import ArtifactStore, CorrectionRecords, Records, TelemetryStore

_Version = TypeVar("_Version", BaselineVersion, DetectorVersion)


@dataclass(frozen=True, slots=True)
class Stores:
    """The places where a walk keeps things. Telemetry is opened when first needed: one process at a time can."""

    telemetry: Callable[[], TelemetryStore]
    records: Records
    corrections: CorrectionRecords
    artifacts: ArtifactStore


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the stages work with besides the stores."""

    connectors: Connectors
    detectors: Detectors
    catalogue: Sequence[Metric]
    engine: Engine
    clock: Callable[[], datetime]


class Made:
    """Reads what a run's stages made. Raises `StageNotReady` for what is not there."""

    def __init__(self, stores: Stores, tools: Toolbox) -> None:
        self._stores, self._tools = stores, tools

    @property
    def engine(self) -> Engine:
        """What computes over whole tables."""
        return self._tools.engine

    def snapshot(self, run: Run) -> Snapshot:
        """The run's frozen window."""
        return Snapshot.model_validate(json.loads(self._path(run, Stage.INGEST).read_text())["snapshot"])

    def report(self, run: Run) -> IngestReport:
        """What became of the rows that the run brought."""
        return IngestReport.model_validate(json.loads(self._path(run, Stage.INGEST).read_text())["report"])

    def members(self, run: Run) -> Members:
        """The names behind the codes in the run's artifacts."""
        return self._stores.telemetry().members(self.snapshot(run))

    def feature_table(self, run: Run) -> FeatureTable:
        """The run's features."""
        return FeatureTable(self._path(run, Stage.FEATURES), plan_features(self.snapshot(run), run.settings.features))

    def baseline_set(self, run: Run) -> BaselineSet | RawFallback:
        """The run's baselines, or its reason to do without."""
        return read_baselines(self._path(run, Stage.BASELINES))

    def trained(self, run: Run) -> Trained:
        """The run's detector and threshold."""
        return read_trained(self._path(run, Stage.TRAIN), self._tools.detectors)

    def scores(self, run: Run) -> Path:
        """The run's scores artifact, verified."""
        return self._path(run, Stage.SCORE)

    def versions(self, run: Run) -> tuple[int | None, int]:
        """Numbers of the baseline version (None: raw features) and of the detector version that the run's scores rest on."""
        records = self._stores.records
        baseline = None if self.fallback(run) else self._version_of(run, Stage.BASELINES, records.baseline_version)
        detector = self._version_of(run, Stage.TRAIN, records.detector_version)
        return baseline.version if baseline else None, detector.version if detector else 0

    def fallback(self, run: Run) -> str:
        """Why the run does without baselines; empty if it has some."""
        return record_of(run, Stage.BASELINES).fallback

    def artifact(self, run: Run, name: str) -> Path:
        """An artifact of the run by name, verified. Raises `NotFound` or `ArtifactDamaged`."""
        return self._stores.artifacts.open(run.id, name)

    def digest(self, artifact: str) -> str:
        """The digest in an artifact's name."""
        return self._stores.artifacts.digest(artifact)

    def _path(self, run: Run, stage: Stage) -> Path:
        return self.artifact(run, record_of(run, stage).artifact)

    def _version_of(self, run: Run, stage: Stage, stored: Callable[[Fleet, int | None], _Version | None]) -> _Version | None:
        """The fleet's newest version that holds what the run's stage made: other runs may have added later ones."""
        digest, found = record_of(run, stage).digest, stored(run.fleet, None)
        while found is not None and found.digest != digest:
            found = stored(run.fleet, found.version - 1)
        return found


def record_of(run: Run, stage: Stage) -> StageRecord:
    """The stage's record. Raises `StageNotReady` if it is not done, though the guard has looked before."""
    record = run.done(stage)
    if record is None:
        raise StageNotReady("this step", stage.value, "missing")
    return record
