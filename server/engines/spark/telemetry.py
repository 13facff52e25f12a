"""Telemetry as a folder of Parquet files by day and hash of the device, which Spark writes and reads wherever it can.

The telemetry store stays the gate: it alone decides which rows count. The folder holds what it says of one snapshot, under
names rather than codes, so that a later snapshot changes only the days and hashes in which it has other rows.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from functools import reduce
from operator import or_
from pathlib import Path
from shutil import rmtree
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from server.domain.telemetry import Members, Metric, Snapshot
from server.engines.spark.cluster import Cluster
from server.errors import Unavailable
from server.storage.base import TelemetryStore

Ints = npt.NDArray[np.int64]

DAY, HASH = "telemetry_day", "device_hash"
_DAY = 86_400_000_000
_NEVER = np.iinfo(np.int64).max
_STAGED_ROWS = 1_000_000
FILE_ROWS = 250_000
"""Rows of a day and hash, about: as many small files take longer to be made than their rows to be written."""


class TelemetryFolder:
    """The folder below `root` (any path that Spark knows). `desk` is a folder that driver and workers share."""

    def __init__(self, cluster: Cluster, root: str, desk: Path, hashes: int) -> None:
        self._cluster, self._root, self._desk, self._hashes = cluster, root.rstrip("/"), desk, hashes

    def frame(self, telemetry: TelemetryStore, snapshot: Snapshot, since: Ints | None = None) -> Any:
        """The snapshot's rows as a Spark data frame, after writing those that are not in the folder yet.

        With `since`, a time by device code, days and hashes are left out that have no row from its device's time on. What is
        read has the rows that were written there, or all of the folder is written anew.
        """
        path = f"{self._root}/{snapshot.fleet.tenant}/{snapshot.fleet.name}"
        published = self._published(snapshot)
        if published is None or published.snapshot.digest != snapshot.digest:
            published = self._publish(telemetry, snapshot, path, published, self._changed(telemetry, published, snapshot))
        found = self._read(path, published, telemetry, since)
        if found is None:  # a day whose last row went, or files that somebody removed
            published = self._publish(telemetry, snapshot, path, None, None)
            found = self._read(path, published, telemetry, since)
        if found is None:
            raise Unavailable(
                f"{path} has not the rows that were just written there. See whether others write there, then call again."
            )
        return found

    def _read(self, path: str, published: "_Published", telemetry: TelemetryStore, since: Ints | None) -> Any:
        """The wanted days and hashes; None unless they have as many rows as were written there."""
        frame = self._cluster.session.read.parquet(path)
        first = np.full(published.hashes, -_NEVER)
        if since is not None:
            first = _by_hash(_hashes(telemetry.members(published.snapshot).devices, published.hashes), since, published.hashes)
            days = {int(time) // _DAY: np.flatnonzero(first == time).tolist() for time in np.unique(first[first != _NEVER])}
            wanted = (frame[HASH].isin(hashes) & (frame[DAY] >= _date(day)) for day, hashes in days.items())
            frame = frame.where(reduce(or_, wanted))
        return frame if frame.count() == published.rows_from(first) else None

    def _changed(self, telemetry: TelemetryStore, before: "_Published | None", snapshot: Snapshot) -> Ints | None:
        """By hash the start of the first day to write again; None for all."""
        if before is None or before.snapshot.metrics != snapshot.metrics:
            return None
        differences = telemetry.differences(before.snapshot, snapshot)
        if differences is None:
            return None
        hashes = _hashes(list(differences), before.hashes)
        return _by_hash(hashes, np.array(list(differences.values()), np.int64), before.hashes)

    def _publish(
        self, telemetry: TelemetryStore, snapshot: Snapshot, path: str, before: "_Published | None", first: Ints | None
    ) -> "_Published":
        """Write the rows from those times on, by hash, or all. A folder keeps its number of hashes until all is written."""
        staging, note = self._desk / f"staging-{snapshot.digest}", self._note(snapshot)
        if before is None or first is None:
            published = _Published(hashes=min(self._hashes, _hashes_for(snapshot)), rows={}, snapshot=snapshot)
        else:
            published = _Published(hashes=before.hashes, rows=before.rows_before(first), snapshot=snapshot)
        rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        note.unlink(missing_ok=True)
        staged = self._stage(telemetry, published, staging, first)
        if staged:
            rows = self._cluster.session.read.parquet(staging.absolute().as_uri())
            spread = rows.repartition(DAY, HASH).sortWithinPartitions(DAY, HASH, "device", "time")
            overwritten = "static" if first is None else "dynamic"
            spread.write.partitionBy(DAY, HASH).option("partitionOverwriteMode", overwritten).mode("overwrite").parquet(path)
        published.rows.update(staged)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(published.model_dump_json())
        rmtree(staging)
        return published

    def _stage(self, telemetry: TelemetryStore, published: "_Published", staging: Path, first: Ints | None) -> Counter[str]:
        """Write the rows to publish as files; returns how many there are by day and hash."""
        members = telemetry.members(published.snapshot)
        hashes = _hashes(members.devices, published.hashes)
        since = None if first is None else first[hashes]
        rows = Counter[str]()
        blocks = telemetry.blocks(published.snapshot, rows=_STAGED_ROWS, since=None if since is None else since.tolist())
        for place, block in enumerate(blocks):
            device, time = block.column("device").to_numpy(), block.column("time").to_numpy()
            wanted = block if since is None else block.filter(pa.array(time >= since[device]))
            if wanted.num_rows:
                pq.write_table(_named(wanted, members, hashes), staging / f"{place:06d}.parquet", compression="zstd")
                places = (wanted.column("time").to_numpy() // _DAY) * published.hashes + hashes[
                    wanted.column("device").to_numpy()
                ]
                for place_, count in zip(*(each.tolist() for each in np.unique(places, return_counts=True)), strict=True):
                    rows[f"{place_ // published.hashes}/{place_ % published.hashes}"] += count
        return rows

    def _published(self, snapshot: Snapshot) -> "_Published | None":
        with suppress(FileNotFoundError, ValidationError):  # what another version noted is written anew
            return _Published.model_validate_json(self._note(snapshot).read_text())
        return None

    def _note(self, snapshot: Snapshot) -> Path:
        return self._desk / f"published-{snapshot.fleet.tenant}-{snapshot.fleet.name}.json"


class _Published(BaseModel):
    """What the folder holds of a fleet: over how many hashes it is spread, and rows by `<days since 1970>/<hash>`."""

    hashes: int
    rows: dict[str, int]
    snapshot: Snapshot

    def rows_from(self, first: Ints) -> int:
        """Rows of days that begin or end after their hash's time."""
        return sum(self.rows.values()) - sum(self.rows_before(first).values())

    def rows_before(self, first: Ints) -> dict[str, int]:
        """Rows of days that end before their hash's time."""
        return {key: count for key, count in self.rows.items() if _is_before(key, first)}


def _is_before(key: str, first: Ints) -> bool:
    day, _, place = key.partition("/")
    return int(day) < first[int(place)] // _DAY


def _by_hash(hashes: npt.NDArray[np.int32], times: Ints, count: int) -> Ints:
    """The earliest time of each hash's devices, as the start of its day; `_NEVER` where there is none."""
    first = np.full(count, _NEVER)
    np.minimum.at(first, hashes, times)
    return np.where(first == _NEVER, _NEVER, first - first % _DAY)


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


def _hashes_for(snapshot: Snapshot) -> int:
    """Hashes that give files of `FILE_ROWS`, about, on a day when every device reports in its rhythm."""
    a_day = min(snapshot.rows, snapshot.devices * (timedelta(days=1) / snapshot.interval))
    return max(1, math.ceil(a_day / FILE_ROWS))


def _hashes(devices: Sequence[str], hashes: int) -> npt.NDArray[np.int32]:
    return np.array([crc32(device.encode()) % hashes for device in devices], np.int32)


def _named(block: pa.RecordBatch, members: Members, hashes: npt.NDArray[np.int32]) -> pa.Table:
    """The block under names, with its day (days since 1970) and hash."""
    columns = {name: block.column(name) for name in block.schema.names}
    for role, names in _names(members).items():
        columns[role] = _texts(block.column(role), names)
    columns[DAY] = pa.array((block.column("time").to_numpy() // _DAY).astype(np.int32)).cast(pa.date32())
    columns[HASH] = pa.array(hashes[block.column("device").to_numpy()])
    return pa.table(columns)


def coded(
    batches: Iterator[pa.RecordBatch], members: Members, metrics: Sequence[Metric], firsts: Ints, since: Ints | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows of the folder under the snapshot's codes, each with the part that its device is in.

    `firsts` are the parts' first device codes; `since` holds by device code a time before which rows are left out. For
    `mapInArrow`, with `schema` as what it gives.
    """
    known = {role: pa.array(names, pa.string()) for role, names in _names(members).items()}
    for batch in batches:
        columns = {role: _codes(batch.column(role), names) for role, names in known.items()}
        part = np.searchsorted(firsts, columns["device"].to_numpy(), side="right") - 1
        columns |= {name: batch.column(name) for name in ("time", "reference", *(metric.name for metric in metrics))}
        rows = pa.RecordBatch.from_pydict({"part": pa.array(part.astype(np.int32)), **columns})
        yield (
            rows if since is None else rows.filter(pa.array(columns["time"].to_numpy() >= since[columns["device"].to_numpy()]))
        )


def schema(metrics: Sequence[Metric]) -> str:
    """The columns that `coded` gives, as Spark spells them."""
    head = "part int, device int, cohort int, store int, customer int, time bigint, reference boolean"
    return ", ".join([head, *(f"`{metric.name.replace('`', '``')}` double" for metric in metrics)])


def _names(members: Members) -> dict[str, Sequence[str]]:
    cohorts = ["\x1f".join(cohort) for cohort in members.cohorts]
    return {"device": members.devices, "cohort": cohorts, "store": members.stores, "customer": members.customers}


def _texts(codes: pa.Array, names: Sequence[str]) -> pa.Array:
    """Names for codes, null for -1."""
    found = codes.to_numpy()
    return pa.array(names, pa.string()).take(pa.array(found, mask=found < 0))


def _codes(texts: pa.Array, names: pa.Array) -> pa.Array:
    """Codes for names, -1 for null."""
    return pc.fill_null(pc.call_function("index_in", [texts], pc.SetLookupOptions(names)), -1)
