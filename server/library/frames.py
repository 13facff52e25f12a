"""Frames of features as the blocks that the walk works on: sorted by device and time, names as codes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from server.domain.telemetry import Members
from server.errors import InvalidInput
from server.library.notes import FrameNote
from server.pipeline.features import without_nulls

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

Scalar = TypeVar("Scalar", bound=np.generic)

_UNKNOWN = "unknown"
_JOINT = "\x1f"
_BLOCK_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Rows of a frame by device and time: their places in the frame, device ranks and times, and the devices' names."""

    order: Rows
    device: Codes
    time: Rows
    devices: tuple[str, ...]

    def of_devices(self, ranks: Rows) -> "SortedRows":
        """The rows of some of the devices."""
        keep = np.isin(self.device, ranks)
        return SortedRows(self.order[keep], self.device[keep], self.time[keep], self.devices)

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of each device."""
        return tuple(np.bincount(self.device, minlength=len(self.devices)).tolist())

    def back(self, values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Values of the sorted rows, put back in the frame's order."""
        placed = np.empty_like(values)
        placed[self.order] = values
        return placed


@dataclass(frozen=True, slots=True)
class Naming:
    """The groups that rows are coded by: which columns make a cohort and a place (store or customer), and the names known."""

    cohort: tuple[str, ...]
    place: tuple[str, ...]
    members: Members

    @classmethod
    def of(cls, frame: pd.DataFrame, rows: SortedRows, cohort: Sequence[str], place: Sequence[str]) -> "Naming":
        """The names that occur in a frame."""
        cohorts = tuple(tuple(name.split(_JOINT)) for name in distinct(_cohorts(frame, cohort))) if cohort else ()
        places = tuple(distinct(_places(frame, place))) if place else ()
        return cls(tuple(cohort), tuple(place), Members(rows.devices, cohorts, places, (), rows.counts))

    def keys(self, frame: pd.DataFrame, note: FrameNote) -> dict[str, Codes]:
        """Codes of device, cohort and store of each row of a frame, -1 for names that are not known."""
        nowhere = np.full(len(frame), -1, np.int32)
        cohorts = [_JOINT.join(cohort) for cohort in self.members.cohorts]
        return {
            "device": codes(texts(frame, note.device), self.members.devices),
            "cohort": codes(_cohorts(frame, self.cohort), cohorts) if self.cohort else nowhere,
            "store": codes(_places(frame, self.place), self.members.stores) if self.place else nowhere,
            "customer": nowhere,
        }


def sorted_rows(frame: pd.DataFrame, note: FrameNote) -> SortedRows:
    """The frame's rows by device and time. Raises `InvalidInput` for a row without either, or a device and time twice."""
    names = texts(frame, note.device)
    devices = distinct(names)
    device, time = codes(names, devices), moments(frame, note.time)
    if (device < 0).any():
        raise InvalidInput(f"{(device < 0).sum():,} rows have no {note.device!r}. Drop them, or give them one.")
    order = np.lexsort((time, device))
    device, time = device[order], time[order]
    repeated = (np.diff(device) == 0) & (np.diff(time) == 0)
    if repeated.any():
        raise InvalidInput(
            f"{repeated.sum():,} rows repeat a device and time. Keep one each: "
            f"frame.drop_duplicates([{note.device!r}, {note.time!r}])."
        )
    return SortedRows(order, device, time, tuple(devices))


def block_of(
    frame: pd.DataFrame, rows: SortedRows, keys: Mapping[str, Codes], columns: Sequence[str], reference: pd.Series | None = None
) -> pa.RecordBatch:
    """One block of the sorted rows with those columns as float64 (NaN where the frame lacks them)."""
    coded = {key: values[rows.order] for key, values in keys.items()}
    fit = np.ones(len(frame), bool) if reference is None else reference.to_numpy(bool)
    absent = np.full(len(rows.order), np.nan)
    values = {
        name: frame[name].to_numpy(np.float64, na_value=np.nan)[rows.order] if name in frame.columns else absent
        for name in columns
    }
    return without_nulls(coded | {"time": rows.time, "reference": fit[rows.order]} | values)


def stretches(block: pa.RecordBatch, device: Codes) -> Iterator[pa.RecordBatch]:
    """The block in stretches of whole devices, about 100,000 rows each; `device` holds the ranks of the block's rows."""
    ends = np.append(np.flatnonzero(np.diff(device)) + 1, len(device)).tolist()
    start = last = 0
    for end in ends:
        if end - start > _BLOCK_ROWS and last > start:
            yield block.slice(start, last - start)
            start = last
        last = end
    yield block.slice(start)


def texts(frame: pd.DataFrame, name: str) -> pa.Array:
    """A column's cells as text, null where empty. Raises `InvalidInput` if the frame lacks it or its cells differ in kind."""
    if name not in frame.columns:
        raise InvalidInput(
            f"column {name!r} is gone from the frame. Put it back, or call DeviceFeatureBuilder.transform again."
        )
    cells = arrow_column(frame[name])
    if cells is None:
        raise InvalidInput(f"column {name!r} mixes kinds of values. Make it one kind, such as frame[{name!r}].astype(str).")
    plain = cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells
    text = plain.cast(pa.string())
    empty = pc.call_function("equal", [pc.call_function("utf8_trim_whitespace", [text]), ""])
    return pc.call_function("if_else", [empty, pa.scalar(None, pa.string()), text])


def arrow_column(series: "pd.Series") -> pa.Array | None:
    """A column of a frame as Arrow; None if its cells are of different kinds."""
    try:
        cells = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None
    return cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells


def codes(names: pa.Array, known: Sequence[str]) -> Codes:
    """Place of each name among the known ones, -1 for others and for null."""
    among = pc.SetLookupOptions(pa.array(known, pa.string()), skip_nulls=True)
    found = pc.call_function("index_in", [names], among)
    return pc.fill_null(found, -1).to_numpy().astype(np.int32)


def moments(frame: pd.DataFrame, name: str) -> Rows:
    """Microseconds since 1970 UTC. Raises `InvalidInput` if the column is gone, holds no times or lacks some."""
    if (
        name not in frame.columns
        or not isinstance(frame[name].dtype, (np.dtype, pd.DatetimeTZDtype))
        or frame[name].dtype.kind != "M"
    ):
        raise InvalidInput(f"column {name!r} holds no times. Put back the one that DeviceFeatureBuilder.transform returned.")
    times = frame[name]
    if times.isna().any():
        raise InvalidInput(f"{times.isna().sum():,} rows have no {name!r}. Drop them.")
    return arrow_column(times).cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_numpy()  # type: ignore[union-attr]


def _cohorts(frame: pd.DataFrame, columns: Sequence[str]) -> pa.Array:
    """One text a row for its cohort, in which an empty cell counts as unknown."""
    known = [pc.fill_null(texts(frame, column), _UNKNOWN) for column in columns]
    return pc.call_function("binary_join_element_wise", [*known, _JOINT])


def _places(frame: pd.DataFrame, columns: Sequence[str]) -> pa.Array:
    """One text a row for its store or customer, null where any cell is empty."""
    return pc.call_function("binary_join_element_wise", [*(texts(frame, column) for column in columns), " / "])


def distinct(names: pa.Array) -> list[str]:
    """The names that occur, sorted."""
    return sorted(names.drop_null().unique().to_pylist())
