"""How good a walk was on a fleet whose truth is known: found, missed, late, and what was flagged for nothing.

A smoke test on made-up trouble, never a claim of accuracy on a real fleet.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from server.domain.anomaly import Incident, IncidentKind
from server.domain.telemetry import Frozen

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ALL = "all"
GAP_INTERVALS = 3
"""Anomalies of a device at most this many sampling intervals apart are one alarm."""
_DEVICE_SHIFT = 34
"""Seconds since 1970 fit below this bit until the year 2514."""


class Truth(Protocol):
    """Truth tables, as the synthetic source makes them. Ends are exclusive."""

    @property
    def incidents(self) -> pa.Table:
        """id, type, tier and metrics (the cause's own first) of each incident."""
        ...

    @property
    def affected(self) -> pa.Table:
        """incident_id, device, onset, end: when each device was really in trouble."""
        ...

    @property
    def look_alikes(self) -> pa.Table:
        """type, device (null for a wider scope), scope as `Column=value`, start, end: benign changes."""
        ...


class TypeReport(Frozen):
    """Detection of one type of incident at one tier; `all` stands for every one."""

    type: str
    tier: str
    incidents: int
    spells: int = Field(description="device spells: one device's time in one incident")
    found: int = Field(description="spells with at least one anomaly within them or the grace after")
    recall: float | None = Field(description="found of spells; null if there is none")
    delay_hours: float | None = Field(description="median time from onset to first anomaly, of those found")
    jaccard: float | None = Field(description="mean overlap of each true incident's devices with its best found incident's")
    cause_named: float | None = Field(description="share of spells found whose first anomaly names a metric of the incident")
    cause_first: float | None = Field(description="share of spells found whose first anomaly names the cause's own metric")


class LookAlikeReport(Frozen):
    """How often benign change was flagged: `flagged` of `rows` scored while it lasted."""

    type: str
    rows: int
    flagged: int
    rate: float | None


class EvaluationReport(Frozen):
    """The whole of an evaluation."""

    rows: int
    device_days: float
    anomalies: int
    anomalies_per_1000_device_days: float
    alarms: int = Field(description="stretches of anomalies of one device")
    precision: float | None = Field(description="share of alarms that touch a true spell of their device; null without alarms")
    recall: float | None = Field(description="share of true spells found; null where there is nothing to find")
    false_alarms_per_1000_device_days: float = Field(description="alarms that touch no true spell; in a null fleet, all")
    incidents: int = Field(description="incidents found that devices are charged with")
    types: tuple[TypeReport, ...] = ()
    look_alikes: tuple[LookAlikeReport, ...] = ()


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scored rows sorted by device and time: names, codes, seconds, and which are anomalies."""

    names: tuple[str, ...]
    device: Rows
    seconds: Rows
    flagged: Flags
    table: pa.Table

    def key(self, device: Rows, seconds: Rows) -> Rows:
        """One number that sorts by device, then time."""
        return (device << _DEVICE_SHIFT) + seconds


@dataclass(frozen=True, slots=True)
class _Matched:
    """True spells (rows of `affected`), and where among the scored rows each one lies: [first, until)."""

    incident: tuple[str, ...]
    device: tuple[str, ...]
    onset: Rows
    first: Rows
    until: Rows
    found_at: Rows
    """Scored row of the first anomaly in the spell, -1 if it was missed."""

    @property
    def found(self) -> Flags:
        """Which spells have an anomaly."""
        return self.found_at >= 0


def evaluate(
    scores: pa.Table,
    incidents: Sequence[Incident],
    truth: Truth,
    *,
    interval: timedelta = timedelta(hours=1),
    grace: timedelta = timedelta(hours=12),
) -> EvaluationReport:
    """Hold scores and incidents against the truth.

    `scores` has device (names), time (integer microseconds or timestamps), is_anomaly and top_metric (null where not known), in
    any order. A look-alike of a wider scope, such as `StoreId=store-003`, is rated where `scores` has that column as well.
    `grace` is how long after its end a spell may still be found: a rolling window looks back that far.
    """
    scored = _sorted(scores)
    spells = _match(scored, truth.affected, grace)
    anomalies = np.flatnonzero(scored.flagged)
    starts = _alarm_starts(scored, anomalies, interval)
    in_spell = _covered(spells, len(scored.device))
    true_alarms = int(np.add.reduceat(in_spell[anomalies], starts).astype(bool).sum()) if len(starts) else 0
    device_days = len(scored.device) * (interval / timedelta(days=1))
    per_1000 = 1000.0 / max(device_days, 1e-9)
    charged = [one for one in incidents if one.kind is IncidentKind.DEVICE]
    return EvaluationReport(
        rows=len(scored.device),
        device_days=device_days,
        anomalies=len(anomalies),
        anomalies_per_1000_device_days=len(anomalies) * per_1000,
        alarms=len(starts),
        precision=_share(true_alarms, len(starts)),
        recall=_share(int(spells.found.sum()), len(spells.found)),
        false_alarms_per_1000_device_days=(len(starts) - true_alarms) * per_1000,
        incidents=len(charged),
        types=tuple(_types(scored, spells, truth, charged, grace)),
        look_alikes=tuple(_look_alikes(scored, truth.look_alikes, in_spell)),
    )


def _sorted(scores: pa.Table) -> _Scored:
    encoded = scores.column("device").combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    device = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    seconds = _seconds(scores.column("time"))
    order = np.lexsort((seconds, device))
    table = scores.take(pa.array(order))
    flagged = table.column("is_anomaly").to_numpy().astype(bool)
    return _Scored(tuple(names), device[order], seconds[order], flagged, table)


def _seconds(column: pa.ChunkedArray) -> Rows:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64())
    seconds: Rows = column.to_numpy().astype(np.int64) // 1_000_000
    return seconds


def _match(scored: _Scored, affected: pa.Table, grace: timedelta) -> _Matched:
    """Spells of devices that have scored rows or not: those without are missed."""
    place = {name: code for code, name in enumerate(scored.names)}
    devices = affected.column("device").to_pylist()
    code = np.array([place.get(name, len(place)) for name in devices], np.int64)
    onset = _seconds(affected.column("onset"))
    keys = scored.key(scored.device, scored.seconds)
    first = np.searchsorted(keys, scored.key(code, onset))
    until = np.searchsorted(keys, scored.key(code, _seconds(affected.column("end")) + int(grace.total_seconds())))
    anomalies = np.append(np.flatnonzero(scored.flagged), len(keys))
    following = anomalies[np.searchsorted(anomalies[:-1], first)]
    found_at = np.where(following < until, following, -1)
    return _Matched(tuple(affected.column("incident_id").to_pylist()), tuple(devices), onset, first, until, found_at)


def _alarm_starts(scored: _Scored, anomalies: Rows, interval: timedelta) -> Rows:
    """Positions among the anomalies at which a new alarm begins."""
    if len(anomalies) == 0:
        return anomalies
    gap = np.diff(scored.seconds[anomalies]) > GAP_INTERVALS * interval.total_seconds()
    return np.flatnonzero(np.concatenate(([True], gap | (np.diff(scored.device[anomalies]) != 0))))


def _covered(spells: _Matched, rows: int) -> Flags:
    """Which scored rows lie in a true spell."""
    change = np.bincount(spells.first, minlength=rows + 1) - np.bincount(spells.until, minlength=rows + 1)
    return np.cumsum(change)[:rows] > 0


def _types(
    scored: _Scored, spells: _Matched, truth: Truth, charged: Sequence[Incident], grace: timedelta
) -> Iterator[TypeReport]:
    """A report of each type and tier, then of all together."""
    about: dict[str, dict[str, Any]] = {one["id"]: one for one in truth.incidents.to_pylist()}
    overlap = {name: _overlap(one, _devices_of(spells, name), charged, grace) for name, one in about.items()}
    kinds = sorted({(one["type"], one["tier"]) for one in about.values()})
    for kind, tier in [*kinds, (ALL, ALL)]:
        chosen = [name for name, one in about.items() if kind == ALL or (one["type"], one["tier"]) == (kind, tier)]
        if chosen:
            yield _type_report(scored, spells, {name: about[name] for name in chosen}, (kind, tier), overlap)


def _type_report(
    scored: _Scored,
    spells: _Matched,
    about: Mapping[str, Mapping[str, Any]],
    named: tuple[str, str],
    overlap: Mapping[str, float],
) -> TypeReport:
    own = np.array([name in about for name in spells.incident], bool)
    found = np.flatnonzero(own & spells.found)
    first = scored.table.column("top_metric").take(pa.array(spells.found_at[found])).to_pylist()
    metrics = [about[spells.incident[spell]]["metrics"] for spell in found]
    delay = (scored.seconds[spells.found_at[found]] - spells.onset[found]) / 3600.0
    return TypeReport(
        type=named[0],
        tier=named[1],
        incidents=len(about),
        spells=int(own.sum()),
        found=len(found),
        recall=_share(len(found), int(own.sum())),
        delay_hours=float(np.median(delay)) if len(found) else None,
        jaccard=float(np.mean([overlap[name] for name in about])),
        cause_named=_share(sum(name in wanted for name, wanted in zip(first, metrics, strict=True)), len(found)),
        cause_first=_share(sum(name == wanted[0] for name, wanted in zip(first, metrics, strict=True)), len(found)),
    )


def _devices_of(spells: _Matched, incident: str) -> frozenset[str]:
    return frozenset(name for name, of in zip(spells.device, spells.incident, strict=True) if of == incident)


def _overlap(one: Mapping[str, Any], devices: frozenset[str], charged: Sequence[Incident], grace: timedelta) -> float:
    """Jaccard index of a true incident's devices with those of the best incident found at that time."""
    start: datetime = one["start"]
    end: datetime = one["end"] + grace
    sets = (set(other.devices) for other in charged if other.start < end and other.end >= start)
    return max((len(devices & other) / len(devices | other) for other in sets if other), default=0.0)


def _look_alikes(scored: _Scored, table: pa.Table, in_spell: Flags) -> Iterator[LookAlikeReport]:
    """How often each type was flagged, rows in true spells left out; a type that could not be rated has no rate."""
    episodes: list[dict[str, Any]] = table.to_pylist()
    starts, ends = _seconds(table.column("start")), _seconds(table.column("end"))
    touched: dict[str, Flags] = {}
    columns: dict[str, npt.NDArray[Any]] = {}
    for episode, start, end in zip(episodes, starts, ends, strict=True):
        struck = touched.setdefault(episode["type"], np.zeros(len(scored.device), bool))
        there = _where(scored, episode, columns)
        struck |= there & (scored.seconds >= start) & (scored.seconds < end)
    for kind in sorted(touched):
        rows = touched[kind] & ~in_spell
        flagged = int((rows & scored.flagged).sum())
        yield LookAlikeReport(type=kind, rows=int(rows.sum()), flagged=flagged, rate=_share(flagged, int(rows.sum())))


def _where(scored: _Scored, episode: Mapping[str, Any], columns: dict[str, npt.NDArray[Any]]) -> Flags:
    """Scored rows of an episode's scope at any time."""
    column, _, value = episode["scope"].partition("=")
    if episode["device"] is not None:
        code = scored.names.index(episode["device"]) if episode["device"] in scored.names else -1
        return scored.device == code
    if column == "fleet":
        return np.ones(len(scored.device), bool)
    if column not in scored.table.column_names:
        return np.zeros(len(scored.device), bool)
    if column not in columns:
        columns[column] = scored.table.column(column).to_numpy(zero_copy_only=False)
    return columns[column] == value


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
