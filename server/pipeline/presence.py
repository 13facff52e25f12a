"""Who was there when: the denominators of incidents, and what silence and gaps in the telemetry are seen from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.pipeline.parts import row_groups

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

_KEYS = ("device", "cohort", "store", "customer")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Presence:
    """Stays: stretches in which a device kept its cohort, store and customer, sorted by device and time; shape (stays,).

    `first` and `last` are the times of a stay's rows in microseconds since 1970 UTC, `rows` how many there are. `interval`
    (microseconds) is the sampling rhythm; `bucket` are the times, in whole intervals since 1970, that have rows at all, and
    `rows_in_bucket` how many.
    """

    device: Codes
    cohort: Codes
    store: Codes
    customer: Codes
    first: Rows
    last: Rows
    rows: Rows
    interval: int
    bucket: Rows
    rows_in_bucket: Rows

    def key(self, name: str) -> Codes:
        """Each stay's cohort, store or customer code."""
        return {"cohort": self.cohort, "store": self.store, "customer": self.customer}[name]


def presence_of(scores: Path, interval: timedelta) -> Presence:
    """The presence of every device in a scores (or features) artifact, read one row group at a time."""
    groups = row_groups(scores, [*_KEYS, "time"])
    return presence_in((block for group in groups for block in group.combine_chunks().to_batches()), interval)


def joined(parts: Sequence[Presence]) -> Presence:
    """The presence of all devices from that of whole devices in each part, in order."""
    every, place = np.unique(np.concatenate([part.bucket for part in parts]), return_inverse=True)
    counts = np.bincount(place, np.concatenate([part.rows_in_bucket for part in parts]), len(every)).astype(np.int64)
    stays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in (*_KEYS, "first", "last", "rows")}
    return Presence(**stays, interval=parts[0].interval, bucket=every, rows_in_bucket=counts)


def presence_in(blocks: Iterable[pa.RecordBatch], interval: timedelta) -> Presence:
    """The presence of every device in blocks of whole devices, sorted by device and time."""
    step = max(interval // _MICROSECOND, 1)
    stays = [[np.empty(0, np.int32)] * len(_KEYS) + [np.empty(0, np.int64)] * 3]
    buckets, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for block in blocks:
        if block.num_rows:
            stays.append(_stays(block))
            bucket, count = np.unique(block.column("time").to_numpy() // step, return_counts=True)
            buckets.append(bucket)
            counts.append(count)
    every, place = np.unique(np.concatenate(buckets), return_inverse=True)
    rows_in_bucket = np.bincount(place, np.concatenate(counts), len(every)).astype(np.int64)
    device, cohort, store, customer, first, last, rows = (np.concatenate(part) for part in zip(*stays, strict=True))
    return Presence(device, cohort, store, customer, first, last, rows, step, every, rows_in_bucket)


def _stays(block: pa.RecordBatch) -> list[np.ndarray]:
    keys = [block.column(key).to_numpy() for key in _KEYS]
    time = block.column("time").to_numpy()
    begins = np.ones(len(time), bool)
    begins[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(time))
    return [*(key[starts] for key in keys), time[starts], time[ends - 1], ends - starts]
