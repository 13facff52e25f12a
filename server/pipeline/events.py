"""Events: a device's flagged rows that follow each other closely, long or severe enough to be more than a blip."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.domain.settings import EventSettings
from server.domain.telemetry import Metric

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SIGNATURE_CREDIT = 0.15
"""A metric belongs to an event's signature from this share of its credit on; the strongest one always does."""


@dataclass(frozen=True, slots=True)
class Events:
    """Events sorted by device and onset; shape (events,), codes as at the onset, times in microseconds since 1970 UTC.

    `credit` (events, metrics) is how far each metric is at fault, summing to at most 1; `signature` the metrics that count.
    `ratio` (events, metrics) is value over typical of a metric's mean at the event's worst row, NaN where not known.
    """

    metrics: tuple[str, ...]
    device: Codes
    cohort: Codes
    store: Codes
    customer: Codes
    start: Rows
    end: Rows
    rows: Rows
    severity: Floats
    credit: Floats
    signature: Flags
    ratio: Floats
    of_row: Rows
    """Each flagged row's event, -1 for a blip; shape (flagged rows,)."""

    def key(self, name: str) -> Codes:
        """Each event's cohort, store or customer code."""
        return {"cohort": self.cohort, "store": self.store, "customer": self.customer}[name]

    def leading(self, chosen: Rows) -> tuple[int, ...]:
        """Metrics in the signature of at least a quarter of those events, most credit first."""
        frequent = self.signature[chosen].sum(axis=0) * 4 >= len(chosen)
        order = np.argsort(-self.credit[chosen].sum(axis=0), kind="stable")
        return tuple(int(metric) for metric in order if frequent[metric])


def find_events(flagged: pa.Table, metrics: tuple[Metric, ...], interval: int, settings: EventSettings) -> Events:
    """Events of flagged rows (columns as in `server.pipeline.score`) sorted by device and time; `interval` in microseconds.

    Rows at most `event_gap` intervals apart are one event: a score that flickers around the threshold is. It counts with
    `event_rows` rows, or with fewer of which one is of severity `event_alone`, and only if one reaches `event_opens`.
    """
    names = tuple(metric.name for metric in metrics)
    columns = {name: flagged.column(name).to_numpy() for name in ("device", "cohort", "store", "customer", "time", "severity")}
    device, time, severity = columns["device"], columns["time"], columns["severity"]
    begins = np.ones(len(device), bool)
    begins[1:] = (device[1:] != device[:-1]) | (time[1:] - time[:-1] > settings.event_gap * interval)
    starts = np.flatnonzero(begins)
    spell = np.cumsum(begins) - 1
    ends = np.append(starts[1:], len(device)) if len(starts) else starts
    worst = np.maximum.reduceat(severity, starts) if len(starts) else np.empty(0)
    firm = ((ends - starts >= settings.event_rows) | (worst >= settings.event_alone)) & (worst >= settings.event_opens)
    number = np.where(firm, np.cumsum(firm) - 1, -1)
    of_row = number[spell] if len(spell) else spell
    starts, ends, worst = starts[firm], ends[firm], worst[firm]
    share, ratio = _worst_rows(flagged, of_row, worst, names)
    credit = (_leading_share(flagged, of_row, len(starts), names) + share) / 2
    signature = (credit >= SIGNATURE_CREDIT) | ((credit > 0) & (credit == credit.max(axis=1, keepdims=True, initial=0)))
    return Events(
        names,
        *(columns[name][starts] for name in ("device", "cohort", "store", "customer")),
        start=time[starts],
        end=time[ends - 1],
        rows=ends - starts,
        severity=worst,
        credit=credit,
        signature=signature,
        ratio=ratio,
        of_row=of_row,
    )


def _leading_share(flagged: pa.Table, of_row: Rows, events: int, names: tuple[str, ...]) -> Floats:
    """How often each metric is the first one named among each event's rows; shape (events, metrics)."""
    top = flagged.column("top_metric").combine_chunks().cast(pa.string()).dictionary_encode()
    place = {name: number for number, name in enumerate(names)}
    by_code = np.array([*(place.get(name, -1) for name in top.dictionary.to_pylist()), -1], np.int64)
    metric = by_code[top.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    known = (of_row >= 0) & (metric >= 0)
    count = np.bincount(of_row[known] * len(names) + metric[known], minlength=events * len(names)).reshape(events, len(names))
    rows = np.bincount(of_row[of_row >= 0], minlength=events)
    return count / np.maximum(rows, 1)[:, None]


def _worst_rows(flagged: pa.Table, of_row: Rows, worst: Floats, names: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Credit and value over typical by metric at each event's worst row: only these rows' contributions are parsed."""
    share, ratio = np.zeros((len(worst), len(names))), np.full((len(worst), len(names)), np.nan)
    if len(worst) == 0:
        return share, ratio
    candidates = np.flatnonzero(of_row >= 0)
    candidates = candidates[flagged.column("severity").to_numpy()[candidates] == worst[of_row[candidates]]]
    events, first = np.unique(of_row[candidates], return_index=True)
    texts = flagged.column("contributions").take(pa.array(candidates[first])).to_pylist()
    place = {name: index for index, name in enumerate(names)}
    for event, text in zip(events, texts, strict=True):
        for part in json.loads(text or "[]"):
            if (metric := place.get(part["metric"])) is not None:
                share[event, metric] = max(part["share"], 0.0)
                ratio[event, metric] = _ratio(part)
    return share, ratio


def _ratio(part: dict[str, Any]) -> float:
    value, typical = part.get("value"), part.get("typical")
    if not value or not typical or "_mean" not in part["feature"].removeprefix(part["metric"]):
        return np.nan
    return value / typical
