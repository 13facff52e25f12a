"""A table of an earlier run carried into a later one: rows that cannot have changed are copied, the others are made anew.

What is copied equals what would be computed, bit for bit: a feature looks back only, over `FeaturePlan.lookback` at most, and a
score depends on its own row alone. So an extended artifact is the same file as one made from the beginning.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.domain.telemetry import Members
from server.pipeline.parts import row_groups

Codes = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
"""A time after all rows."""
_CODED = ("device", "cohort", "store", "customer")


@dataclass(frozen=True, slots=True)
class Carried:
    """Which rows of an earlier table still hold, in the codes of the later one.

    `codes` gives by column the later code of every earlier one, with -1 for none last, so that it also answers for code -1.
    `since` holds by later device code the time (microseconds since 1970 UTC) from which rows are made anew: `NEVER` where all
    of the device's rows still hold.
    """

    path: Path
    codes: Mapping[str, Codes]
    since: Times

    def fresh(self, device: Codes, time: Times) -> Flags:
        """Which rows of the later table have to be made anew."""
        return time >= self.since[device]

    def fresh_rows(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a block of the later table that have to be made anew."""
        return block.filter(pa.array(self.fresh(block.column("device").to_numpy(), block.column("time").to_numpy())))

    def reading_from(self, lookback: timedelta) -> Times:
        """By later device code, the time from which rows have to be read, so that those made anew can look back."""
        return np.where(self.since == NEVER, NEVER, self.since - lookback // timedelta(microseconds=1))

    def pieces(self) -> Iterator[pa.Table]:
        """The earlier table in later codes, as it was written; device code -1 where the device has gone."""
        yield from map(self.recoded, row_groups(self.path))

    def recoded(self, piece: pa.Table) -> pa.Table:
        """Rows of the earlier table in later codes, declared as a later one is."""
        renamed = [name for name in _CODED if not is_identity(self.codes[name])]
        for name in renamed:
            at, codes = piece.schema.get_field_index(name), self.codes[name][piece.column(name).to_numpy()]
            piece = piece.set_column(at, piece.schema.field(name), pa.array(codes, pa.int32()))
        return piece.cast(declared(piece.schema))

    def holding(self, table: pa.Table) -> "_Runs":
        """Of each device's rows in that table those that still hold: the first ones."""
        device, time = table.column("device").to_numpy(), table.column("time").to_numpy()
        runs = _Runs.of(device)
        holds = (device >= 0) & ~self.fresh(device, time)
        counts = np.add.reduceat(holds, runs.start, dtype=np.int64) if len(holds) else runs.count
        return _Runs(runs.device, runs.start, counts)


def carried(path: Path, before: Members, after: Members, differences: Mapping[str, int]) -> Carried:
    """What a later snapshot keeps of an earlier one's table, given from when on each device's rows differ."""
    pairs = {
        "device": (before.devices, after.devices),
        "cohort": (before.cohorts, after.cohorts),
        "store": (before.stores, after.stores),
        "customer": (before.customers, after.customers),
    }
    since = np.array([differences.get(name, NEVER) for name in after.devices], np.int64)
    return Carried(path, {name: _recoded(old, new) for name, (old, new) in pairs.items()}, since)


def unchanged_before(path: Path, members: Members, since: Times) -> Carried:
    """What still holds of the same snapshot's table when each device's rows change from a time on."""
    return carried(path, members, members, dict(zip(members.devices, since.tolist(), strict=True)))


def extended(kept: Carried, fresh: Iterable[tuple[int, pa.RecordBatch | None]]) -> Iterator[pa.RecordBatch]:
    """The later table, a batch for each of `fresh`: (code after its last device, rows made anew or None if there are none).

    Each batch of fresh rows is sorted by device and time, as are the batches that come out.
    """
    held = _Held(kept.pieces())
    for end, made in fresh:
        old = held.before(end)
        new = old.slice(0, 0) if made is None else pa.Table.from_batches([made])
        yield _batch(_interleaved(old, kept.holding(old), new, _Runs.of(new.column("device").to_numpy())))


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of rows of one device each, in a table: device code, first row and number of rows."""

    device: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]

    @classmethod
    def of(cls, device: Codes) -> "_Runs":
        """The runs of a column of device codes."""
        start = np.flatnonzero(np.diff(device, prepend=-2))
        return cls(device[start].astype(np.int64), start, np.diff(start, append=len(device)))


def _interleaved(old: pa.Table, holding: _Runs, new: pa.Table, made: _Runs) -> pa.Table:
    """Runs of both tables by device, the old one's first. Runs that lie side by side in one table are copied as one."""
    which = np.repeat([0, 1], [len(holding.start), len(made.start)])
    device, start, count = (
        np.concatenate([getattr(holding, name), getattr(made, name)]) for name in ("device", "start", "count")
    )
    order = np.lexsort((which, device))
    order = order[count[order] > 0]
    if len(order) == 0:
        return new
    which, start, count = which[order], start[order], count[order]
    begins = np.flatnonzero(np.append(True, (np.diff(which) != 0) | (start[1:] != start[:-1] + count[:-1])))
    rows = np.add.reduceat(count, begins)
    tables = (old if old.schema.equals(new.schema) else old.cast(new.schema)), new
    runs = zip(which[begins].tolist(), start[begins].tolist(), rows.tolist(), strict=True)
    return pa.concat_tables([tables[table].slice(first, length) for table, first, length in runs])


class _Held:
    """Pieces of a table read ahead as far as asked for."""

    def __init__(self, pieces: Iterator[pa.Table]) -> None:
        self._pieces, self._rest = pieces, [next(pieces)]

    def before(self, end: int) -> pa.Table:
        """The next rows whose device code is below `end`."""
        while self._last() < end and (piece := next(self._pieces, None)) is not None:
            self._rest.append(piece)
        table = pa.concat_tables(self._rest)
        beyond = np.flatnonzero(table.column("device").to_numpy() >= end)
        count = int(beyond[0]) if len(beyond) else table.num_rows
        self._rest = [table.slice(count)]
        return table.slice(0, count)

    def _last(self) -> int:
        """The last device code read so far, -1 if there is no row left."""
        filled = [piece for piece in self._rest if piece.num_rows]
        return filled[-1].column("device")[-1].as_py() if filled else -1


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def declared(schema: pa.Schema) -> pa.Schema:
    """The columns as tables are declared now: only texts may be null. Earlier versions said so of features alone."""
    return pa.schema([field.with_nullable(pa.types.is_string(field.type)) for field in schema])


def is_identity(codes: Codes) -> bool:
    """Whether every earlier code, of those in `Carried.codes`, is the later one as well."""
    return bool((codes[:-1] == np.arange(len(codes) - 1)).all())


def _recoded(before: Sequence[object], after: Sequence[object]) -> Codes:
    """Later code by earlier code, and -1 at the end: an index of -1 finds it."""
    place = {name: code for code, name in enumerate(after)}
    return np.array([*(place.get(name, -1) for name in before), -1], np.int32)
