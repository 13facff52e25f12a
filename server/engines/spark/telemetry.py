"""Telemetry as a folder of Parquet files by day and hash of the device, which Spark writes and reads wherever it can.

The telemetry store stays the gate: it alone decides which rows count. The folder holds what it says of one snapshot, under
names rather than codes, so that a later snapshot changes only the days and hashes in which it has other rows.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from server.domain.telemetry import Members, Metric, Snapshot
from server.engines.spark.cluster import Cluster
from server.storage.base import TelemetryStore

Ints = npt.NDArray[np.int64]

DAY, HASH = "telemetry_day", "device_hash"
_DAY = 86_400_000_000
_NEVER = np.iinfo(np.int64).max
_STAGED_ROWS = 1_000_000


class TelemetryFolder:
    """The folder below `root` (any path that Spark knows). `desk` is a folder that driver and workers share."""

    def __init__(self, cluster: Cluster, root: str, desk: Path, hashes: int) -> None:
        self._cluster, self._root, self._desk, self._hashes = cluster, root.rstrip("/"), desk, hashes

    def frame(self, telemetry: TelemetryStore, snapshot: Snapshot) -> Any:
        """The snapshot's rows as a Spark data frame, after writing those that are not in the folder yet."""
        path = f"{self._root}/{snapshot.fleet.tenant}/{snapshot.fleet.name}"
        before = self._published(snapshot)
        if before is None or before.digest != snapshot.digest:
            self._publish(telemetry, snapshot, path, self._since(telemetry, before, snapshot))
        frame = self._cluster.session.read.parquet(path)
        if frame.count() != snapshot.rows:  # a day whose last row went, or files that somebody removed
            self._publish(telemetry, snapshot, path, None)
            frame = self._cluster.session.read.parquet(path)
        return frame

    def _since(self, telemetry: TelemetryStore, before: Snapshot | None, snapshot: Snapshot) -> Ints | None:
        """By device code the start of the first day to write again; None for all."""
        if before is None or before.metrics != snapshot.metrics:
            return None
        differences = telemetry.differences(before, snapshot)
        if differences is None:
            return None
        names = telemetry.members(snapshot).devices
        hashes = _hashes(names, self._hashes)
        first = np.full(self._hashes, _NEVER)
        for device, time in differences.items():
            place = crc32(device.encode()) % self._hashes
            first[place] = min(first[place], time - time % _DAY)
        return first[hashes]

    def _publish(self, telemetry: TelemetryStore, snapshot: Snapshot, path: str, since: Ints | None) -> None:
        staging, note = self._desk / f"staging-{snapshot.digest}", self._note(snapshot)
        rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        note.unlink(missing_ok=True)
        if self._stage(telemetry, snapshot, staging, since):
            staged = self._cluster.session.read.parquet(staging.absolute().as_uri())
            spread = staged.repartition(DAY, HASH).sortWithinPartitions(DAY, HASH, "device", "time")
            overwritten = "static" if since is None else "dynamic"
            spread.write.partitionBy(DAY, HASH).option("partitionOverwriteMode", overwritten).mode("overwrite").parquet(path)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(snapshot.model_dump_json())
        rmtree(staging)

    def _stage(self, telemetry: TelemetryStore, snapshot: Snapshot, staging: Path, since: Ints | None) -> int:
        """Write the rows to publish; returns in how many files."""
        members = telemetry.members(snapshot)
        hashes = _hashes(members.devices, self._hashes)
        files = 0
        for block in telemetry.blocks(snapshot, rows=_STAGED_ROWS, since=None if since is None else since.tolist()):
            device = block.column("device").to_numpy()
            wanted = block if since is None else block.filter(pa.array(block.column("time").to_numpy() >= since[device]))
            if wanted.num_rows:
                pq.write_table(_named(wanted, members, hashes), staging / f"{files:06d}.parquet", compression="zstd")
                files += 1
        return files

    def _published(self, snapshot: Snapshot) -> Snapshot | None:
        note = self._note(snapshot)
        return Snapshot.model_validate_json(note.read_text()) if note.exists() else None

    def _note(self, snapshot: Snapshot) -> Path:
        return self._desk / f"published-{snapshot.fleet.tenant}-{snapshot.fleet.name}.json"


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
    batches: Iterator[pa.RecordBatch], members: Members, metrics: Sequence[Metric], firsts: Ints
) -> Iterator[pa.RecordBatch]:
    """Rows of the folder under the snapshot's codes, each with the part that its device is in.

    `firsts` are the parts' first device codes. For `mapInArrow`, with `schema` as what it gives.
    """
    known = {role: pa.array(names, pa.string()) for role, names in _names(members).items()}
    for batch in batches:
        columns = {role: _codes(batch.column(role), names) for role, names in known.items()}
        part = np.searchsorted(firsts, columns["device"].to_numpy(), side="right") - 1
        columns |= {name: batch.column(name) for name in ("time", "reference", *(metric.name for metric in metrics))}
        yield pa.RecordBatch.from_pydict({"part": pa.array(part.astype(np.int32)), **columns})


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
