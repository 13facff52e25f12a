"""The stages on Spark: one task a part, and the telemetry's one shuffle, which brings each device's rows together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from server.detectors.stored import Trained
from server.domain.run import Stage
from server.domain.settings import BaselineSettings
from server.domain.telemetry import Members, Snapshot
from server.engines.base import Estimated, Sample, Scored
from server.engines.spark import tasks
from server.engines.spark.baselines import estimate
from server.engines.spark.carrying import Piece, Range, devices_in, holders
from server.engines.spark.cluster import Cluster, failures_named
from server.engines.spark.layout import Part, cut
from server.engines.spark.telemetry import TelemetryFolder, coded, schema
from server.errors import Unavailable
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.counterfactual import Counterfactual, Reach, Stored, score_again
from server.pipeline.exclusion import KeptOut
from server.pipeline.extend import NEVER, Carried, Times
from server.pipeline.features import FeaturePlan
from server.pipeline.parts import PARTS, files_of, write_parts
from server.pipeline.presence import Presence, joined
from server.pipeline.score import Scoring, severity
from server.pipeline.table import FeatureTable
from server.pipeline.train import daily
from server.storage.base import ArtifactStore, Progress, TelemetryStore

_ROWS_AT_HAND = 50_000
"""So few rows are scored again sooner than Spark can be asked."""
_ANY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SparkEngine:
    """An `Engine` on a cluster whose workers reach the folder of artifacts under the same path as this process."""

    cluster: Cluster
    telemetry_folder: TelemetryFolder
    artifacts: ArtifactStore
    part_rows: int

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
        progress(0, snapshot.rows)
        members = telemetry.members(snapshot)
        parts = cut(members.rows, part_rows=self.part_rows)
        desk = tasks.Desk(self.artifacts, run, Stage.FEATURES)
        frame = partial(self._rows, telemetry, snapshot, members, parts)
        if kept is None:
            names = _collected(frame(None), partial(_written, work=partial(_featured, parts=parts, plan=plan, desk=desk)))
        else:
            names = self._extended(frame, kept, parts, plan, desk)
        if len(names) != len(parts):
            raise Unavailable(f"{len(parts) - len(names)} of {len(parts)} parts have no rows. Ingest again.")
        progress(snapshot.rows, snapshot.rows)
        return self._listed(run, Stage.FEATURES, [names[place] for place in range(len(parts))])

    def _extended(
        self, rows: Callable[[Times], Any], kept: Carried, parts: list[Part], plan: FeaturePlan, desk: tasks.Desk
    ) -> dict[int, str]:
        """Names of the parts, of which an earlier table holds some rows."""
        shares = holders(self.cluster, kept, [Range(part.first, part.last) for part in parts])
        work = partial(_featured_anew, parts=parts, plan=plan, desk=desk, kept=kept, shares=shares)
        reading = kept.reading_from(plan.lookback)
        found = _collected(rows(reading), partial(_written, work=work)) if (reading != NEVER).any() else {}
        left = [place for place in range(len(parts)) if place not in found]
        return found | dict(zip(left, self.cluster.over(partial(work, iter(())), left), strict=True))

    def _rows(
        self, telemetry: TelemetryStore, snapshot: Snapshot, members: Members, parts: list[Part], since: Times | None
    ) -> Any:
        """The snapshot's rows, or by device code those since a time, as a data frame with a partition for each part."""
        firsts = np.array([part.first for part in parts], np.int64)
        code = partial(coded, members=members, metrics=snapshot.metrics, firsts=firsts, since=since)
        with failures_named():
            rows = self.telemetry_folder.frame(telemetry, snapshot, since).mapInArrow(code, schema(snapshot.metrics))
            return rows.repartitionById(len(parts), "part").sortWithinPartitions("device", "time")

    def baselines(self, table: FeatureTable, kept_out: KeptOut, settings: BaselineSettings) -> Estimated:
        """As `Engine` says."""
        return estimate(self.cluster, _parts(table), self.presence(table.path, _ANY), kept_out, settings)

    def sample(self, table: FeatureTable, devices: npt.NDArray[np.int64]) -> Sample:
        """As `Engine` says."""
        found = self.cluster.over(partial(tasks.sampled, devices=devices), _parts(table))
        blocks, rows, first, last = zip(*found, strict=True)
        return Sample((block for part in blocks for block in part), daily(sum(rows), min(first), max(last)))

    def score(self, run: str, table: FeatureTable, scoring: Scoring, progress: Progress, kept: Carried | None = None) -> Scored:
        """As `Engine` says."""
        progress(0, None)
        desk = tasks.Desk(self.artifacts, run, Stage.SCORE)
        if kept is None:
            parts = self.cluster.over(partial(tasks.score, scoring=scoring, desk=desk), _parts(table))
        else:
            ranges = self.cluster.over(devices_in, files_of(table.path))
            shares = zip(_parts(table), ranges, holders(self.cluster, kept, ranges), strict=True)
            parts = self.cluster.over(partial(tasks.score_kept, scoring=scoring, kept=kept, desk=desk), list(shares))
        rows = sum(part.rows for part in parts)
        progress(rows, rows)
        name = self._listed(run, Stage.SCORE, [part.artifact for part in parts])
        return Scored(name, rows, sum(part.flagged for part in parts))

    def flagged(self, scores: Path) -> pa.Table:
        """As `Engine` says."""
        return pa.concat_tables(self.cluster.over(tasks.flagged, files_of(scores))).combine_chunks()

    def presence(self, scores: Path, interval: timedelta) -> Presence:
        """As `Engine` says."""
        return joined(self.cluster.over(partial(tasks.presence, interval=interval), files_of(scores)))

    def score_again(
        self, table: FeatureTable, stored: Stored, reach: Reach, baselines: BaselineSet | RawFallback, trained: Trained
    ) -> Counterfactual:
        """As `Engine` says."""
        if len(reach.rows) <= _ROWS_AT_HAND:
            return score_again(table, stored, reach, baselines, trained, threads=1)
        found = self.cluster.over(partial(tasks.score_again, scoring=Scoring(trained, baselines)), list(_reached(table, reach)))
        scores = np.concatenate(found)
        return Counterfactual(stored, reach.rows, scores < trained.threshold, severity(scores, trained))

    def _listed(self, run: str, stage: Stage, names: list[str]) -> str:
        return self.artifacts.write(run, stage.value, PARTS, lambda path: write_parts(path, names))


def _parts(table: FeatureTable) -> list[FeatureTable]:
    return [FeatureTable(each, table.plan) for each in files_of(table.path)]


def _reached(table: FeatureTable, reach: Reach) -> Iterator[tuple[FeatureTable, npt.NDArray[np.int64]]]:
    """The parts that have reached rows, with the places of those in the part."""
    start = 0
    for part in _parts(table):
        end = start + pq.read_metadata(part.path).num_rows
        begin, stop = np.searchsorted(reach.rows, [start, end])
        if stop > begin:
            yield part, reach.rows[begin:stop] - start
        start = end


def _featured(batches: Iterator[pa.RecordBatch], place: int, parts: list[Part], plan: FeaturePlan, desk: tasks.Desk) -> str:
    return tasks.features(batches, parts[place], plan, desk)


def _featured_anew(
    batches: Iterator[pa.RecordBatch],
    place: int,
    parts: list[Part],
    plan: FeaturePlan,
    desk: tasks.Desk,
    kept: Carried,
    shares: Sequence[tuple[Path, ...]],
) -> str:
    """The name of a part's features, from what files of an earlier table hold and from the rows that it lacks."""
    part = parts[place]
    if not shares[place]:
        return tasks.features(batches, part, plan, desk)
    return tasks.features_kept(batches, part, plan, Piece.of(kept, shares[place], Range(part.first, part.last)), desk)


def _collected(rows: Any, make: Callable[[Iterator[pa.RecordBatch]], Iterator[Any]]) -> dict[int, str]:
    """By part the name that was made of its rows."""
    with failures_named():
        return {row.part: row.name for row in rows.mapInArrow(make, "part int, name string").collect()}


def _written(batches: Iterator[pa.RecordBatch], work: Callable[[Iterator[pa.RecordBatch], int], str]) -> Iterator[Any]:
    """For `mapInArrow`: the number of the part that a partition holds, and the name of what `work` makes of its rows."""
    first = next(batches, None)
    if first is None:
        return
    number = first.column("part")[0].as_py()
    rows = (batch.drop_columns(["part"]) for batch in chain([first], batches))
    yield pa.RecordBatch.from_pydict({"part": pa.array([number], pa.int32()), "name": [work(rows, number)]})
