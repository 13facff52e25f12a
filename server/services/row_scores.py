"""A run's scores beside the rows of its source: one row out for every row in, whatever became of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from server.connectors.base import Source
from server.connectors.registry import Connectors
from server.domain.run import Run
from server.domain.telemetry import ColumnMapping
from server.pipeline.parts import read_columns
from server.services.stages import Stages
from server.storage.base import RowKeys

KeyReader = Callable[[pa.RecordBatch, ColumnMapping], RowKeys]
_SCORES = ("severity", "score", "is_anomaly", "top_metric")


class RowScores:
    """Reads a run's source again and puts to each row what its device scored at its time."""

    def __init__(self, stages: Stages, connectors: Connectors, keys: KeyReader) -> None:
        self._stages, self._connectors, self._keys = stages, connectors, keys

    def batches(self, run: Run) -> Iterator[pa.RecordBatch]:
        """One row for each row of the source, in its order: device_id, timestamp (both as they came), severity, score,
        is_anomaly and top_metric.

        A device's moment is scored once, so rows that repeat it share that score. A row that was kept aside for any other
        reason has severity 0, the score of the reference rows' median, is_anomaly false and no top_metric.
        """
        source = self._connectors.open(run.source.connector, run.source.location, run.source.options)
        found = _Scored.read(self._stages.scores(run), self._stages.members(run).devices)
        quantiles = self._stages.trained(run).reference_scores
        middle = float(quantiles[len(quantiles) // 2])
        return self._rows(source, found, middle)

    def _rows(self, source: Source, found: "_Scored", middle: float) -> Iterator[pa.RecordBatch]:
        mapping = source.mapping
        kinds: tuple[pa.DataType, pa.DataType] | None = None
        for batch in source.batches():
            keys = self._keys(batch, mapping)
            device, time = _undone(batch.column(mapping.device)), _undone(batch.column(mapping.time))
            kinds = kinds or (device.type, time.type)
            scored = found.rows(keys)
            yield pa.RecordBatch.from_pydict(
                {
                    "device_id": device.cast(kinds[0]),
                    "timestamp": time.cast(kinds[1]),
                    "severity": pc.fill_null(scored["severity"], 0.0),
                    "score": pc.fill_null(scored["score"], middle),
                    "is_anomaly": pc.fill_null(scored["is_anomaly"], fill_value=False),
                    "top_metric": scored["top_metric"],
                }
            )


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scores sorted by device and time, to be found by them."""

    devices: pa.Array
    times: npt.NDArray[np.int64]
    """Every time that occurs, sorted."""
    key: npt.NDArray[np.int64]
    """Of each scored row: device code times the number of times, plus the place of its time."""
    scores: pa.Table

    @classmethod
    def read(cls, path: Path, devices: tuple[str, ...]) -> "_Scored":
        """What a scores artifact holds."""
        table = read_columns(path, ["device", "time", *_SCORES])
        times, place = np.unique(table.column("time").to_numpy(), return_inverse=True)
        key = table.column("device").to_numpy().astype(np.int64) * len(times) + place
        return cls(pa.array(devices, pa.string()), times, key, table.select(_SCORES))

    def rows(self, keys: RowKeys) -> dict[str, pa.Array]:
        """Each key's scores, null where none were made."""
        options = pc.SetLookupOptions(self.devices)
        device = pc.call_function("index_in", [keys.device.cast(pa.string())], options)
        code = pc.fill_null(device, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        place = np.minimum(np.searchsorted(self.times, keys.time), len(self.times) - 1)
        wanted = code * len(self.times) + place
        row = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        found = keys.known & (code >= 0) & (self.times[place] == keys.time) & (self.key[row] == wanted)
        taken = self.scores.take(pa.array(row, mask=~found))
        return {name: taken.column(name).combine_chunks() for name in _SCORES}


def _undone(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
