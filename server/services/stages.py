"""What each stage of the walk does: read the artifacts it needs, call one pure function, write one artifact."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from server.connectors.registry import Connectors
from server.detectors.registry import Detectors
from server.detectors.stored import Trained, read_trained, write_trained
from server.domain.anomaly import Incident
from server.domain.baseline import BaselineVersion, DetectorVersion
from server.domain.feedback import Feedback, FeedbackFilter, Verdict
from server.domain.run import Run, Stage, StageRecord
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet, IngestReport, Members, Metric, Snapshot
from server.errors import InvalidInput, NotEnoughData, NotFound, StageNotReady
from server.pipeline.anomalies import anomaly_rows, flagged_rows
from server.pipeline.baselines import BaselineSet, RawFallback, compute_baselines
from server.pipeline.exclusion import marked_rows, open_incidents, rows_inside
from server.pipeline.features import FeaturePlan, engineer_features, plan_features
from server.pipeline.incidents import group_incidents
from server.pipeline.normalize import normalize
from server.pipeline.overlay import reapplied
from server.pipeline.presence import presence_of
from server.pipeline.score import Scoring, score_telemetry
from server.pipeline.stored import baseline_rows, read_baselines, write_baselines
from server.pipeline.table import FeatureTable, write_table
from server.pipeline.train import rows_per_day, sampled_devices, train_detector
from server.storage.base import ArtifactStore, CorrectionRecords, Progress, Records, TelemetryStore

_BLOCK_ROWS = 100_000
_Version = TypeVar("_Version", BaselineVersion, DetectorVersion)
_MOST_INCIDENTS = 1000
_EARLIER_RUNS = 50
_MOST_MARKED = 1_000_000


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
    threads: int
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage made. `digest` stands for the content; `artifact` is the file that holds it."""

    artifact: str
    digest: str
    rows: int
    summary: str
    fallback: str = ""


class Stages:
    """The six stages over one set of stores. Each may be repeated: the same inputs give the same artifact."""

    def __init__(self, stores: Stores, tools: Toolbox) -> None:
        self._stores, self._tools = stores, tools
        self.verbs: Mapping[Stage, Callable[[Run, Progress], Outcome]] = {
            Stage.INGEST: self.ingest,
            Stage.FEATURES: self.features,
            Stage.BASELINES: self.baselines,
            Stage.TRAIN: self.train,
            Stage.SCORE: self.score,
            Stage.PERSIST: self.persist,
        }

    def ingest(self, run: Run, progress: Progress) -> Outcome:
        """Store the run's source and freeze the snapshot that the rest of the walk reads."""
        tools, telemetry = self._tools, self._stores.telemetry()
        source = tools.connectors.open(run.source.connector, run.source.location, run.source.options)
        report = telemetry.ingest(
            run.fleet,
            source,
            tools.catalogue,
            fit_split=run.settings.fit_split,
            now=tools.clock(),
            progress=progress,
        )
        try:
            snapshot = telemetry.snapshot(run.fleet)
        except NotFound as error:  # no row of this source could be kept, nor was there one before
            raise InvalidInput(
                f"{source.name}: no row can be kept ({_aside(report)}). Say which columns hold the device and the time."
            ) from error
        members = telemetry.members(snapshot)
        self._stores.records.register(run, dict(zip(members.devices, members.rows, strict=True)), snapshot.metrics)
        about = {"snapshot": snapshot.model_dump(mode="json"), "report": report.model_dump(mode="json")}
        artifact = self._write(run, Stage.INGEST, ".json", lambda path: _write_json(path, about))
        return Outcome(artifact, snapshot.digest, snapshot.rows, _ingest_summary(report, snapshot))

    def features(self, run: Run, progress: Progress) -> Outcome:
        """Features of every row of the snapshot."""
        snapshot = self.snapshot(run)
        plan = plan_features(snapshot, run.settings.features)
        blocks = self._stores.telemetry().blocks(snapshot, rows=_BLOCK_ROWS)
        batches = _counted(engineer_features(blocks, plan, threads=self._tools.threads), progress, snapshot.rows)
        artifact = self._write(run, Stage.FEATURES, ".parquet", lambda path: write_table(path, batches))
        summary = f"{len(plan.features)} features over {plan.window}, changes since {plan.lag} before, {snapshot.rows:,} rows"
        return self._outcome(artifact, snapshot.rows, summary)

    def baselines(self, run: Run, progress: Progress) -> Outcome:
        """A baseline version, or the reason why raw features have to do."""
        table, members = self.feature_table(run), self.members(run)
        progress(0, table.rows)
        excluded = rows_inside(table, members, self._open_incidents(run)) | marked_rows(table, members, self._marked_true(run))
        try:
            found: BaselineSet | RawFallback = compute_baselines(
                table, members, run.settings.baselines, excluded=excluded, threads=self._tools.threads
            )
        except NotEnoughData as error:
            found = RawFallback(str(error), table.plan)
        in_force = self._stores.records.baseline_version(run.fleet)
        if in_force and in_force.adjustments and not isinstance(found, RawFallback):
            found = replace(found, adjustments=reapplied(in_force.adjustments, found))
        suffix = ".json" if isinstance(found, RawFallback) else ".parquet"
        artifact = self._write(run, Stage.BASELINES, suffix, lambda path: write_baselines(path, found))
        progress(table.rows, table.rows)
        if isinstance(found, RawFallback):
            return self._outcome(artifact, 0, f"no baselines, raw features instead: {found.reason}", fallback=found.reason)
        version = self._stores.records.add_baseline_version(
            BaselineVersion(
                fleet=run.fleet,
                version=1,
                run=run.id,
                digest=self._stores.artifacts.digest(artifact),
                artifact=artifact,
                created=self._tools.clock(),
                reason="computed from telemetry",
                groups={level.level: len(level.groups) for level in found.levels},
                adjustments=found.adjustments,
            ),
            baseline_rows(found),
        )
        kept_out = f"; {excluded.sum():,} rows of open incidents or marked true kept out" if excluded.any() else ""
        groups = ", ".join(f"{count:,} {level.value}" for level, count in version.groups.items())
        return self._outcome(artifact, table.rows, f"version {version.version}: {groups}{kept_out}")

    def train(self, run: Run, progress: Progress) -> Outcome:
        """A detector and its threshold."""
        table, fallback = self.feature_table(run), self._fallback(run)
        progress(0, None)
        key = _calibration_key(run.settings, table.plan)
        trained = self.fit(run)
        artifact = self._write(run, Stage.TRAIN, ".npz", lambda path: write_trained(path, trained))
        baseline = None if fallback else self._version_of(run, Stage.BASELINES, self._stores.records.baseline_version)
        version = self._stores.records.add_detector_version(
            DetectorVersion(
                fleet=run.fleet,
                version=1,
                run=run.id,
                detector=trained.detector,
                digest=self._stores.artifacts.digest(artifact),
                artifact=artifact,
                baseline_version=baseline.version if baseline else None,
                threshold=trained.threshold,
                calibration=trained.calibration,
                calibration_key=key,
                created=self._tools.clock(),
            )
        )
        summary = f"{trained.detector} version {version.version}, threshold {trained.threshold:.4g} ({trained.calibration})"
        return self._outcome(artifact, trained.rows, summary, fallback)

    def fit(self, run: Run) -> Trained:
        """A detector under the run's settings on its features, stored nowhere; the threshold of comparable scores is kept.

        It is trained on what telemetry alone says is normal: an approved adjustment then moves the scores of its own rows and
        of no others, so that what a preview promised is what happens.
        """
        table, found, settings = self.feature_table(run), self.baseline_set(run), run.settings.detector
        before, key = self._stores.records.detector_version(run.fleet), _calibration_key(run.settings, table.plan)
        estimate = found if isinstance(found, RawFallback) else found.estimate
        return train_detector(
            normalize(table.blocks(sampled_devices(self.members(run).rows)), estimate, threads=self._tools.threads),
            self._tools.detectors.get(settings.name),
            settings,
            rows_per_day=rows_per_day(table.time),
            keep=(before.threshold, before.calibration) if before and before.calibration_key == key else None,
        )

    def score(self, run: Run, progress: Progress) -> Outcome:
        """Scores of every row."""
        table = self.feature_table(run)
        scoring = Scoring(self.trained(run), self.baseline_set(run), name_every_row=run.settings.name_every_row)
        tally = Tally()
        scored = score_telemetry(table.blocks(), scoring, threads=self._tools.threads)
        batches = _counted(tally.watch(scored), progress, table.rows)
        artifact = self._write(run, Stage.SCORE, ".parquet", lambda path: write_table(path, batches))
        share = 100 * tally.flagged / max(tally.rows, 1)
        summary = f"{tally.flagged:,} of {tally.rows:,} rows flagged ({share:.2f} %)"
        return self._outcome(artifact, tally.rows, summary, self._fallback(run))

    def persist(self, run: Run, progress: Progress) -> Outcome:
        """The flagged rows and their incidents, in the SQL store, whole or not at all."""
        scores = _record(run, Stage.SCORE)
        path = self._stores.artifacts.open(run.id, scores.artifact)
        flagged = flagged_rows(path)
        progress(0, flagged.num_rows)
        snapshot, members = self.snapshot(run), self.members(run)
        presence, health = presence_of(path, snapshot.interval), self._stores.telemetry().health(run.fleet)
        grouped = group_incidents(flagged, presence, members, run=run, snapshot=snapshot, health=health)
        rows = anomaly_rows(flagged, run, members, grouped.incident_of_row, self.versions(run), self.trained(run).threshold)
        stored = self._stores.records.persist_scored(run, scores.digest, rows, grouped.incidents)
        progress(stored, stored)
        summary = f"{stored:,} anomalies in {len(grouped.incidents):,} incidents"
        return Outcome("", scores.digest, stored, summary, self._fallback(run))

    def snapshot(self, run: Run) -> Snapshot:
        """The run's frozen window."""
        path = self._stores.artifacts.open(run.id, _record(run, Stage.INGEST).artifact)
        return Snapshot.model_validate(json.loads(path.read_text())["snapshot"])

    def report(self, run: Run) -> IngestReport:
        """What became of the rows that the run brought."""
        path = self._stores.artifacts.open(run.id, _record(run, Stage.INGEST).artifact)
        return IngestReport.model_validate(json.loads(path.read_text())["report"])

    def members(self, run: Run) -> Members:
        """The names behind the codes in the run's artifacts."""
        return self._stores.telemetry().members(self.snapshot(run))

    def feature_table(self, run: Run) -> FeatureTable:
        """The run's features."""
        plan = plan_features(self.snapshot(run), run.settings.features)
        return FeatureTable(self._stores.artifacts.open(run.id, _record(run, Stage.FEATURES).artifact), plan)

    def baseline_set(self, run: Run) -> BaselineSet | RawFallback:
        """The run's baselines, or its reason to do without."""
        return read_baselines(self._stores.artifacts.open(run.id, _record(run, Stage.BASELINES).artifact))

    def trained(self, run: Run) -> Trained:
        """The run's detector and threshold."""
        path = self._stores.artifacts.open(run.id, _record(run, Stage.TRAIN).artifact)
        return read_trained(path, self._tools.detectors)

    def scores(self, run: Run) -> Path:
        """The run's scores artifact, verified."""
        return self._stores.artifacts.open(run.id, _record(run, Stage.SCORE).artifact)

    def versions(self, run: Run) -> tuple[int | None, int]:
        """Numbers of the baseline version (None: raw features) and of the detector version that the run's scores rest on."""
        fallback = _record(run, Stage.BASELINES).fallback
        baseline = None if fallback else self._version_of(run, Stage.BASELINES, self._stores.records.baseline_version)
        detector = self._version_of(run, Stage.TRAIN, self._stores.records.detector_version)
        return baseline.version if baseline else None, detector.version if detector else 0

    def write_baselines(self, run: Run, found: BaselineSet) -> str:
        """Name of the artifact that holds these baselines, written for the run; the run itself is left as it is."""
        return self._write(run, Stage.BASELINES, ".parquet", lambda path: write_baselines(path, found))

    def artifact(self, run: Run, name: str) -> Path:
        """An artifact of the run by name, verified. Raises `NotFound` or `ArtifactDamaged`."""
        return self._stores.artifacts.open(run.id, name)

    def digest(self, artifact: str) -> str:
        """The digest in an artifact's name."""
        return self._stores.artifacts.digest(artifact)

    def _marked_true(self, run: Run) -> Sequence[Feedback]:
        """Rows of the fleet that people marked true: they must not teach what is normal."""
        wanted = FeedbackFilter(fleet=run.fleet.name, verdict=Verdict.TRUE)
        return self._stores.corrections.feedback(run.fleet.tenant, wanted, limit=_MOST_MARKED)[0]

    def _open_incidents(self, run: Run) -> Sequence[Incident]:
        """Shared incidents that were open at the end of the fleet's walk before this one; none if it is the first."""
        tenant, records = run.fleet.tenant, self._stores.records
        for other in records.runs(tenant, fleet=run.fleet.name, limit=_EARLIER_RUNS):
            if other.created < run.created and other.done(Stage.PERSIST):
                found, _ = records.incidents(tenant, run_id=other.id, limit=_MOST_INCIDENTS)
                return open_incidents(found, plan_features(self.snapshot(run), run.settings.features).window)
        return ()

    def _fallback(self, run: Run) -> str:
        return _record(run, Stage.BASELINES).fallback

    def _version_of(self, run: Run, stage: Stage, stored: Callable[[Fleet, int | None], _Version | None]) -> _Version | None:
        """The fleet's newest version that holds what the run's stage made: other runs may have added later ones."""
        digest, found = _record(run, stage).digest, stored(run.fleet, None)
        while found is not None and found.digest != digest:
            found = stored(run.fleet, found.version - 1)
        return found

    def _write(self, run: Run, stage: Stage, suffix: str, writer: Callable[[Path], object]) -> str:
        return self._stores.artifacts.write(run.id, stage.value, suffix, lambda path: (writer(path), None)[1])

    def _outcome(self, artifact: str, rows: int, summary: str, fallback: str = "") -> Outcome:
        return Outcome(artifact, self._stores.artifacts.digest(artifact), rows, summary, fallback)


class Tally:
    """Counts rows and flagged rows as batches pass by."""

    def __init__(self) -> None:
        self.rows = self.flagged = 0

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches."""
        for batch in batches:
            self.rows += batch.num_rows
            self.flagged += batch.column("is_anomaly").true_count
            yield batch


def _record(run: Run, stage: Stage) -> StageRecord:
    """The stage's record. Raises `StageNotReady` if it is not done, though the guard has looked before."""
    record = run.done(stage)
    if record is None:
        raise StageNotReady("this step", stage.value, "missing")
    return record


def _counted(batches: Iterator[pa.RecordBatch], progress: Progress, total: int) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        progress(done, total)


def _calibration_key(settings: WalkSettings, plan: FeaturePlan) -> str:
    """Detectors with the same key have comparable scores: same settings, same columns."""
    columns = [feature.name for feature in plan.features]
    about = {"detector": settings.detector.model_dump(mode="json"), "columns": columns, "fit_split": settings.fit_split}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _write_json(path: Path, about: object) -> None:
    path.write_text(json.dumps(about, sort_keys=True))


def _ingest_summary(report: IngestReport, snapshot: Snapshot) -> str:
    kept = f"{report.rows_kept:,} of {report.rows_in:,} rows kept (kept aside: {_aside(report)})"
    return f"{kept}; the fleet now has {snapshot.rows:,} rows of {snapshot.devices:,} devices"


def _aside(report: IngestReport) -> str:
    return ", ".join(f"{count:,} {reason.value}" for reason, count in report.rejected.items()) or "none"
