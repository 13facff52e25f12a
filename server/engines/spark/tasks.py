"""What one task does with one part. Every function here runs in a worker and writes nothing but artifacts named by content."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from server.domain.run import Stage
from server.engines.base import Scored
from server.engines.spark.carrying import Piece, Range, linked, row_counts, split_at
from server.engines.spark.layout import Part
from server.errors import Unavailable
from server.pipeline.anomalies import flagged_rows
from server.pipeline.extend import Carried, extended
from server.pipeline.features import FeaturePlan, engineer_features, featurise
from server.pipeline.normalize import normalize
from server.pipeline.presence import Presence, presence_of
from server.pipeline.score import Scoring, score_some, score_telemetry
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

    def keep(self, part: Path) -> str:
        """The name here of a part that another run has."""
        return self.artifacts.write(self.run, self.stage.value, ".parquet", lambda path: linked(part, path))


def features(batches: Iterable[pa.RecordBatch], part: Part, plan: FeaturePlan, desk: Desk) -> str:
    """Name of the features of one part's rows, which come sorted by device and time in batches of any size."""
    return desk.write(engineer_features(whole_devices(batches, part), plan))


def features_kept(batches: Iterable[pa.RecordBatch], part: Part, plan: FeaturePlan, piece: Piece, desk: Desk) -> str:
    """As `features`, of rows of which an earlier table holds some: `batches` are those made anew and what they look back on."""
    if (same := piece.as_it_is(part.blocks)) is not None:
        return desk.keep(same)

    def made() -> Iterator[tuple[int, pa.RecordBatch | None]]:
        for end, block in split_at(batches, part.ends):
            yield end, None if block is None else piece.fresh_rows(featurise(block, plan))

    return desk.write(_whole(extended(piece, made()), part))


def _whole(blocks: Iterable[pa.RecordBatch], part: Part) -> Iterator[pa.RecordBatch]:
    """The same blocks. Raises `Unavailable` if one has not the rows that the snapshot has there."""
    for rows, block in zip(part.blocks, blocks, strict=True):
        if block.num_rows != rows:
            raise _not_whole(part)
        yield block


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
        raise _not_whole(part)


def _not_whole(part: Part) -> Unavailable:
    return Unavailable(f"devices {part.first} to {part.last} have not the {part.rows:,} rows of the snapshot. Ingest again.")


def score(table: FeatureTable, scoring: Scoring, desk: Desk) -> Scored:
    """The scores of one part."""
    return _written(score_telemetry(table.blocks(), scoring), desk)


def score_kept(part: tuple[FeatureTable, Range, tuple[Path, ...]], scoring: Scoring, kept: Carried, desk: Desk) -> Scored:
    """As `score`, of a part with these devices, of which some files of an earlier table hold some rows."""
    table, devices, files = part
    if not files:
        return score(table, scoring, desk)
    piece = Piece.of(kept, files, devices)
    if (same := piece.as_it_is(row_counts(table.path))) is not None:
        flags = pq.read_table(same, columns=["is_anomaly"]).column(0).to_numpy()
        return Scored(desk.keep(same), len(flags), int(flags.sum()))
    return _written(extended(piece, score_some(table.blocks_from(piece.since), scoring)), desk)


def _written(batches: Iterator[pa.RecordBatch], desk: Desk) -> Scored:
    counts = np.zeros(2, np.int64)

    def counted() -> Iterator[pa.RecordBatch]:
        for batch in batches:
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
