"""What each stage of the walk does: read the artifacts it needs, have the engine work on them, write one artifact."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from server.detectors.stored import Trained, write_trained
from server.domain.anomaly import Incident
from server.domain.baseline import BaselineVersion, DetectorVersion
from server.domain.feedback import Feedback, FeedbackFilter, Verdict
from server.domain.run import Run, Stage
from server.domain.settings import WalkSettings
from server.domain.telemetry import IngestReport, Snapshot
from server.errors import InvalidInput, NotEnoughData, NotFound
from server.pipeline.anomalies import anomaly_rows
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.exclusion import KeptOut, open_incidents
from server.pipeline.features import FeaturePlan, plan_features
from server.pipeline.incidents import group_incidents
from server.pipeline.normalize import normalize
from server.pipeline.overlay import reapplied
from server.pipeline.score import Scoring
from server.pipeline.stored import baseline_rows, write_baselines
from server.pipeline.train import sampled_devices, train_detector
from server.services.carrying import Carrying
from server.services.made import Made, Stores, Toolbox, record_of
from server.storage.base import Progress

_MOST_INCIDENTS = 1000
_EARLIER_RUNS = 50
_MOST_MARKED = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage made. `digest` stands for the content; `artifact` is the file that holds it."""

    artifact: str
    digest: str
    rows: int
    summary: str
    fallback: str = ""


class Stages(Made):
    """The six stages over one set of stores. Each may be repeated: the same inputs give the same artifact."""

    def __init__(self, stores: Stores, tools: Toolbox) -> None:
        super().__init__(stores, tools)
        self._carrying = Carrying(self, stores, tools.detectors)
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

    def let_go(self, run: Run) -> None:
        """Have the run's source removed where it was only kept to be ingested."""
        self._tools.connectors.let_go(run.source.connector, run.source.location)

    def features(self, run: Run, progress: Progress) -> Outcome:
        """Features of every row of the snapshot."""
        snapshot = self.snapshot(run)
        plan = plan_features(snapshot, run.settings.features)
        kept = self._carrying.features(run, snapshot, plan)
        artifact = self.engine.features(run.id, self._stores.telemetry(), snapshot, plan, progress, kept)
        window, lag = (f"{each / timedelta(hours=1):g} hours" for each in (plan.window, plan.lag))
        summary = f"{len(plan.features)} features over {window}, changes since {lag} before, {snapshot.rows:,} rows"
        return self._outcome(artifact, snapshot.rows, summary)

    def baselines(self, run: Run, progress: Progress) -> Outcome:
        """A baseline version, or the reason why raw features have to do."""
        rows = self.snapshot(run).rows
        progress(0, rows)
        kept = self._carrying.baselines(run)
        try:
            found, aside = (kept, "; kept from the version before") if kept else self._estimated(run)
        except NotEnoughData as error:
            raw = RawFallback(str(error), self.feature_table(run).plan)
            artifact = self._write(run, Stage.BASELINES, ".json", lambda path: write_baselines(path, raw))
            return self._outcome(artifact, 0, f"no baselines, raw features instead: {raw.reason}", fallback=raw.reason)
        artifact = self.write_baselines(run, found)
        progress(rows, rows)
        version = self._stores.records.add_baseline_version(
            BaselineVersion(
                fleet=run.fleet,
                version=1,
                run=run.id,
                digest=self.digest(artifact),
                artifact=artifact,
                created=self._tools.clock(),
                reason="kept from the version before" if kept else "computed from telemetry",
                groups={level.level: len(level.groups) for level in found.levels},
                adjustments=found.adjustments,
            ),
            baseline_rows(found),
        )
        groups = ", ".join(f"{count:,} {level.value}" for level, count in version.groups.items())
        return self._outcome(artifact, rows, f"version {version.version}: {groups}{aside}")

    def _estimated(self, run: Run) -> tuple[BaselineSet, str]:
        """New baselines under what is left of approved adjustments, and what to say of them. Raises `NotEnoughData`."""
        table = self.feature_table(run)
        kept_out = KeptOut(self.members(run), self._open_incidents(run), self._marked_true(run))
        estimated = self.engine.baselines(table, kept_out, run.settings.baselines)
        in_force = self._stores.records.baseline_version(run.fleet)
        approved = reapplied(in_force.adjustments, estimated.baselines) if in_force else ()
        found = replace(estimated.baselines, adjustments=approved, until=int(table.time.max()))
        aside = f"; {estimated.kept_out:,} rows of open incidents or marked true kept out" if estimated.kept_out else ""
        return found, aside

    def train(self, run: Run, progress: Progress) -> Outcome:
        """A detector and its threshold."""
        fallback = self.fallback(run)
        progress(0, None)
        trained = self._carrying.trained(run) or self.fit(run)
        artifact = self._write(run, Stage.TRAIN, ".npz", lambda path: write_trained(path, trained))
        baseline = None if fallback else self._version_of(run, Stage.BASELINES, self._stores.records.baseline_version)
        version = self._stores.records.add_detector_version(
            DetectorVersion(
                fleet=run.fleet,
                version=1,
                run=run.id,
                detector=trained.detector,
                digest=self.digest(artifact),
                artifact=artifact,
                baseline_version=baseline.version if baseline else None,
                threshold=trained.threshold,
                calibration=trained.calibration,
                calibration_key=_calibration_key(run.settings, self.feature_table(run).plan),
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
        sample = self.engine.sample(table, sampled_devices(self.members(run).rows))
        return train_detector(
            normalize(sample.blocks, estimate),
            self._tools.detectors.get(settings.name),
            settings,
            rows_per_day=sample.rows_per_day,
            keep=(before.threshold, before.calibration) if before and before.calibration_key == key else None,
        )

    def score(self, run: Run, progress: Progress) -> Outcome:
        """Scores of every row."""
        scoring = Scoring(self.trained(run), self.baseline_set(run), name_every_row=run.settings.name_every_row)
        scored = self.engine.score(run.id, self.feature_table(run), scoring, progress, self._carrying.scores(run))
        share = 100 * scored.flagged / max(scored.rows, 1)
        summary = f"{scored.flagged:,} of {scored.rows:,} rows flagged ({share:.2f} %)"
        return self._outcome(scored.artifact, scored.rows, summary, self.fallback(run))

    def persist(self, run: Run, progress: Progress) -> Outcome:
        """The flagged rows and their incidents, in the SQL store, whole or not at all."""
        scores, path = record_of(run, Stage.SCORE), self.scores(run)
        flagged = self.engine.flagged(path)
        progress(0, flagged.num_rows)
        snapshot, members = self.snapshot(run), self.members(run)
        presence, health = self.engine.presence(path, snapshot.interval), self._stores.telemetry().health(run.fleet)
        grouped = group_incidents(flagged, presence, members, run=run, snapshot=snapshot, health=health)
        rows = anomaly_rows(flagged, run, members, grouped.incident_of_row, self.versions(run), self.trained(run).threshold)
        stored = self._stores.records.persist_scored(run, scores.digest, rows, grouped.incidents)
        progress(stored, stored)
        summary = f"{stored:,} anomalies in {len(grouped.incidents):,} incidents"
        return Outcome("", scores.digest, stored, summary, self.fallback(run))

    def write_baselines(self, run: Run, found: BaselineSet) -> str:
        """Name of the artifact that holds these baselines, written for the run; the run itself is left as it is."""
        return self._write(run, Stage.BASELINES, ".parquet", lambda path: write_baselines(path, found))

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
                return open_incidents(found, self.feature_table(run).plan.window)
        return ()

    def _write(self, run: Run, stage: Stage, suffix: str, writer: Callable[[Path], object]) -> str:
        return self._stores.artifacts.write(run.id, stage.value, suffix, writer)

    def _outcome(self, artifact: str, rows: int, summary: str, fallback: str = "") -> Outcome:
        return Outcome(artifact, self.digest(artifact), rows, summary, fallback)


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
