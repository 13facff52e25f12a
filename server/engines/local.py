"""The stages on this machine: blocks from DuckDB through the kernels into one Parquet file, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.detectors.stored import Trained
from server.domain.run import Stage
from server.domain.settings import BaselineSettings
from server.domain.telemetry import Snapshot, blocks_of_devices
from server.engines.base import Estimated, Sample, Scored
from server.pipeline.anomalies import flagged_rows
from server.pipeline.baselines import BaselineSet, RawFallback, compute_baselines
from server.pipeline.counterfactual import Counterfactual, Reach, Stored, score_again
from server.pipeline.exclusion import KeptOut
from server.pipeline.extend import Carried, extended
from server.pipeline.features import FeaturePlan, engineer_features
from server.pipeline.presence import Presence, presence_of
from server.pipeline.score import Scoring, score_some, score_telemetry
from server.pipeline.table import FeatureTable, write_table
from server.pipeline.train import rows_per_day
from server.storage.base import ArtifactStore, Progress, TelemetryStore

BLOCK_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """An `Engine` in this process, on so many threads."""

    artifacts: ArtifactStore
    threads: int

    def features(
        self,
        run: str,
        telemetry: TelemetryStore,
        snapshot: Snapshot,
        plan: FeaturePlan,
        progress: Progress,
        kept: Carried | None = None,
    ) -> str:
        """As `Engine` says."""
        if kept is None:
            blocks = telemetry.blocks(snapshot, rows=BLOCK_ROWS)
            batches = engineer_features(blocks, plan, threads=self.threads)
        else:
            since = kept.reading_from(plan.lookback).tolist()
            blocks = telemetry.blocks(snapshot, rows=BLOCK_ROWS, since=since)
            made = engineer_features(blocks, plan, threads=self.threads)
            ends = (codes[-1] + 1 for codes in blocks_of_devices(telemetry.members(snapshot).rows, BLOCK_ROWS))
            batches = extended(kept, zip(ends, map(kept.fresh_rows, made), strict=True))
        return self._write(run, Stage.FEATURES, _counted(batches, progress, snapshot.rows))

    def baselines(self, table: FeatureTable, kept_out: KeptOut, settings: BaselineSettings) -> Estimated:
        """As `Engine` says."""
        excluded = kept_out.rows(table)
        found = compute_baselines(table, kept_out.members, settings, excluded=excluded, threads=self.threads)
        return Estimated(found, int(excluded.sum()))

    def sample(self, table: FeatureTable, devices: npt.NDArray[np.int64]) -> Sample:
        """As `Engine` says."""
        return Sample(table.blocks(devices), rows_per_day(table.time))

    def score(self, run: str, table: FeatureTable, scoring: Scoring, progress: Progress, kept: Carried | None = None) -> Scored:
        """As `Engine` says."""
        tally = _Tally()
        if kept is None:
            batches = score_telemetry(table.blocks(), scoring, threads=self.threads)
        else:
            batches = extended(kept, score_some(table.blocks_from(kept.since), scoring, threads=self.threads))
        scored = _counted(tally.watch(batches), progress, table.rows)
        return Scored(self._write(run, Stage.SCORE, scored), tally.rows, tally.flagged)

    def flagged(self, scores: Path) -> pa.Table:
        """As `Engine` says."""
        return flagged_rows(scores)

    def presence(self, scores: Path, interval: timedelta) -> Presence:
        """As `Engine` says."""
        return presence_of(scores, interval)

    def score_again(
        self, table: FeatureTable, stored: Stored, reach: Reach, baselines: BaselineSet | RawFallback, trained: Trained
    ) -> Counterfactual:
        """As `Engine` says."""
        return score_again(table, stored, reach, baselines, trained, threads=self.threads)

    def _write(self, run: str, stage: Stage, batches: Iterator[pa.RecordBatch]) -> str:
        return self.artifacts.write(run, stage.value, ".parquet", lambda path: write_table(path, batches))


class _Tally:
    """Counts rows and flagged rows as batches pass by."""

    def __init__(self) -> None:
        self.rows = self.flagged = 0

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches."""
        for batch in batches:
            self.rows += batch.num_rows
            self.flagged += batch.column("is_anomaly").true_count
            yield batch


def _counted(batches: Iterator[pa.RecordBatch], progress: Progress, total: int) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        progress(done, total)
