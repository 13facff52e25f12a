"""What one task does with one part. Every function here runs in a worker and writes nothing but artifacts named by content."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.domain.run import Stage
from server.engines.base import Scored
from server.engines.spark.layout import Part
from server.errors import Unavailable
from server.pipeline.anomalies import flagged_rows
from server.pipeline.features import FeaturePlan, engineer_features
from server.pipeline.normalize import normalize
from server.pipeline.presence import Presence, presence_of
from server.pipeline.score import Scoring, score_telemetry
from server.pipeline.table import FeatureTable, write_table
from server.storage.base import ArtifactStore


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a stage of a run writes its parts."""

    artifacts: ArtifactStore
    run: str
    stage: Stage

    def write(self, batches: Iterator[pa.RecordBatch]) -> str:
        """The part's name, by its content: the same task run twice writes the same file."""
        return self.artifacts.write(self.run, self.stage.value, ".parquet", lambda path: write_table(path, batches))


def features(batches: Iterable[pa.RecordBatch], part: Part, plan: FeaturePlan, desk: Desk) -> str:
    """Name of the features of one part's rows, which come sorted by device and time in batches of any size."""
    return desk.write(engineer_features(whole_devices(batches, part), plan))


def whole_devices(batches: Iterable[pa.RecordBatch], part: Part) -> Iterator[pa.RecordBatch]:
    """The part's blocks from batches that end anywhere; holds one block and one batch.

    Raises:
        Unavailable: there are fewer or more rows than the snapshot has for this part.
    """
    held: list[pa.RecordBatch] = []
    rows, sizes = 0, iter(part.blocks)
    wanted = next(sizes, 0)
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while wanted and rows >= wanted:
            table = pa.Table.from_batches(held)
            yield table.slice(0, wanted).combine_chunks().to_batches()[0]
            held, rows = table.slice(wanted).to_batches(), rows - wanted
            wanted = next(sizes, 0)
    if wanted or rows:
        raise Unavailable(f"devices {part.first} to {part.last} have not the {part.rows:,} rows of the snapshot. Ingest again.")


def score(table: FeatureTable, scoring: Scoring, desk: Desk) -> Scored:
    """The scores of one part."""
    counts = np.zeros(2, np.int64)

    def counted() -> Iterator[pa.RecordBatch]:
        for batch in score_telemetry(table.blocks(), scoring):
            counts[:] += batch.num_rows, batch.column("is_anomaly").true_count
            yield batch

    name = desk.write(counted())
    return Scored(name, int(counts[0]), int(counts[1]))


def flagged(scores: Path) -> pa.Table:
    """The anomalies of one part."""
    return flagged_rows(scores)


def presence(table: Path, interval: timedelta) -> Presence:
    """Who was there when, in one part."""
    return presence_of(table, interval)


def sampled(table: FeatureTable, devices: npt.NDArray[np.int64]) -> tuple[list[pa.RecordBatch], int, int, int]:
    """Rows of those devices in one part; then how many rows it has in all, and its first and last time."""
    blocks = [block for block in table.blocks(devices) if block.num_rows]
    return blocks, table.rows, int(table.time.min()), int(table.time.max())


def score_again(reached: tuple[FeatureTable, npt.NDArray[np.int64]], scoring: Scoring) -> npt.NDArray[np.float64]:
    """Scores of some rows of one part, by their places in it."""
    table, rows = reached
    matrices = normalize(table.blocks_at(rows), scoring.baselines)
    return np.concatenate([scoring.trained.scorer.score(matrix) for matrix in matrices])
