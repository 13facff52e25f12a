"""What a snapshot sees, read in whole devices: bounded memory, sorted only where the stored rows are not sorted already."""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from server.domain.telemetry import Members, blocks_of_devices
from server.storage.telemetry.cohorts import Cohort, CohortTable
from server.storage.telemetry.names import Kind
from server.storage.telemetry.schema import FleetTables

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Ranks = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of a fleet that a snapshot sees: stored by ingest `sequence`, and event times in [start, end]."""

    sequence: int
    start: datetime | None = None
    end: datetime | None = None

    def where(self) -> str:
        """The condition in SQL."""
        bounds = [f"added <= {self.sequence}", f"removed > {self.sequence}"]
        bounds += [f"time >= {micros(self.start)}"] if self.start else []
        bounds += [f"time <= {micros(self.end)}"] if self.end else []
        return " AND ".join(bounds)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one device that share their names: a device that changes its cohort has several groups."""

    device: int
    cohort: int
    store: int
    customer: int
    split: int
    rows: int
    parts: tuple[int, ...] = ()


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC; a time without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


class Reader:
    """Reads one window of one fleet through a connection of its own."""

    def __init__(self, tables: FleetTables, window: Window, groups: Sequence[Group]) -> None:
        self._tables, self._window, self.groups = tables, window, groups
        names = tables.names(window.sequence)
        self._codes, self._device_rank, devices = _ranked(names[Kind.DEVICE], {group.device for group in groups})
        _, self._store_rank, stores = _ranked(names[Kind.STORE], {group.store for group in groups})
        _, self._customer_rank, customers = _ranked(names[Kind.CUSTOMER], {group.customer for group in groups})
        self._splits = names[Kind.SPLIT]
        counts = np.zeros(len(names[Kind.DEVICE]), np.int64)
        for group in groups:
            counts[group.device] += group.rows
        self._rows: list[int] = counts[self._codes].tolist()
        self._columns = tables.cohort_columns(window.sequence)
        self._cohorts = CohortTable(self._columns, names[Kind.COHORT])
        self._open = self._cohorts.incomplete({group.cohort for group in groups}) if self._columns else frozenset[int]()
        self._found: list[Cohort] | None = None
        self._names = devices, stores, customers

    def members(self) -> Members:
        """The names behind the codes of `blocks`."""
        devices, stores, customers = self._names
        return Members(devices, tuple(self._cohort_list()), stores, customers, tuple(self._rows))

    @property
    def fills_cohorts(self) -> bool:
        """Whether some row's cohort is taken in part from other rows of its device."""
        return bool(self._open)

    def fits_on(self, fit_split: str | None) -> str | None:
        """The split whose rows may be fitted on; None if all rows may, as no row says that split."""
        return fit_split if any(self._splits[group.split] == fit_split for group in self.groups if group.split >= 0) else None

    def blocks(
        self,
        rows: int,
        metrics: Sequence[str],
        devices: Sequence[int] | None,
        fit_split: str | None,
        since: Sequence[int] | None = None,
    ) -> Iterator[list[pa.Array]]:
        """The columns of each block in the order that `TelemetryStore.blocks` promises; `metrics` are stored columns."""
        reference = self._reference(fit_split)
        cohorts = self._cohort_list()
        rank_by_code = self._cohorts.rank_by_code(cohorts) if self._columns else np.full(1, -1, np.int32)
        for chunk in blocks_of_devices(self._rows, rows, devices):
            start = None if since is None else min(since[rank] for rank in chunk)
            table = self._read(chunk, ["cohort", "store", "customer", "split", *metrics], start)
            device, code = table["device"], table["cohort"]
            if self._open and np.isin(code, list(self._open)).any():
                cohort = self._cohorts.ranks(self._cohorts.resolve(device, code), cohorts)
            else:
                cohort = rank_by_code[code] if self._columns else np.full(len(code), -1, np.int32)
            head = [device, cohort, self._store_rank[table["store"]], self._customer_rank[table["customer"]], table["time"]]
            arrays = [*head, reference[table["split"]], *(table[name] for name in metrics)]
            yield [pa.array(array) for array in arrays]

    def intervals(self, rows: int) -> timedelta:
        """The median over devices of each device's median time between rows; an hour if no device has two."""
        chunks = (self._read(chunk, []) for chunk in blocks_of_devices(self._rows, rows))
        medians = [median_gaps(chunk["device"], chunk["time"]) for chunk in chunks]
        found = np.concatenate(medians) if medians else np.zeros(0)
        return timedelta(microseconds=int(np.median(found))) if len(found) else timedelta(hours=1)

    def _reference(self, fit_split: str | None) -> NDArray[np.bool_]:
        """Whether a row may be fitted on, by split code; rows without a split have code -1, so the last place."""
        if self.fits_on(fit_split) is None:
            return np.ones(len(self._splits) + 1, bool)
        return np.array([text == fit_split for text in self._splits] + [False])

    def _cohort_list(self) -> list[Cohort]:
        if self._found is None:
            complete = {group.cohort for group in self.groups} - self._open
            found = self._cohorts.of_codes(complete) if self._columns else set[Cohort]()
            affected = sorted({int(self._device_rank[group.device]) for group in self.groups if group.cohort in self._open})
            for chunk in blocks_of_devices(self._rows, 1_000_000, affected) if affected else ():
                table = self._read(chunk, ["cohort"])
                found |= self._cohorts.distinct(self._cohorts.resolve(table["device"], table["cohort"]))
            self._found = sorted(found)
        return self._found

    def _read(self, ranks: Sequence[int], columns: Sequence[str], start: int | None = None) -> dict[str, NDArray[Any]]:
        """Rows of these devices, from a time on, as arrays by column, sorted by device rank and time; `device` holds ranks."""
        codes = np.sort(self._codes[np.asarray(ranks)])
        where = f"{self._window.where()} AND device BETWEEN {codes[0]} AND {codes[-1]}"
        if codes[-1] - codes[0] >= len(codes):
            where += f" AND device IN ({', '.join(map(str, codes))})"
        if start is not None:
            where += f" AND time >= {start}"
        query = f"SELECT {', '.join(['device', 'time', *columns])} FROM {self._tables.table('telemetry')} WHERE {where}"
        table = self._tables.connection.sql(query).to_arrow_table()
        arrays = {name: table[name].to_numpy() for name in table.column_names}
        arrays["device"] = self._device_rank[arrays["device"]]
        return _sorted(arrays)


def _sorted(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    device, time = arrays["device"], arrays["time"]
    step = np.diff(device)
    if np.all((step > 0) | ((step == 0) & (np.diff(time) > 0))):
        return arrays
    order = np.lexsort((time, device))
    return {name: values[order] for name, values in arrays.items()}


def _ranked(names: Sequence[str], used: set[int]) -> tuple[NDArray[np.int64], Ranks, tuple[str, ...]]:
    """Used codes in sorted order of their names, the rank by code (-1 for none, also at code -1), and the sorted names."""
    codes = sorted((code for code in used if code >= 0), key=lambda code: names[code])
    ranks = np.full(len(names) + 1, -1, np.int32)
    ranks[codes] = np.arange(len(codes))
    return np.array(codes, np.int64), ranks, tuple(names[code] for code in codes)


def median_gaps(device: Ranks, time: NDArray[np.int64]) -> NDArray[np.float64]:
    """Median time between rows of each device that has at least two; exact unless a gap of months meets a million devices."""
    same = np.diff(device) == 0
    gaps, owner = np.diff(time)[same], device[1:][same]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    count = np.diff(np.append(starts, len(owner)))
    # device and gap in one number: sorting that takes a tenth of what sorting by two keys does
    digits = int(gaps.max(initial=0)).bit_length()
    spare = max(0, digits + len(starts).bit_length() - 63)
    first = np.repeat(np.arange(len(starts)) << (digits - spare), count)
    gaps = (np.sort((gaps >> spare) + first) - first) << spare
    return (gaps[starts + (count - 1) // 2] + gaps[starts + count // 2]) / 2
