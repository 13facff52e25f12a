"""What a tool's answer lets one say: its numbers by metric, its names and its times."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?")
_NAME_LENGTH = 60
_TYPICAL = frozenset({"typical", "centre", "median", "cohort_median"})


@dataclass(frozen=True)
class Reading:
    """One metric's value beside what is typical, as one record of an answer states it."""

    metric: str
    value: float | None
    typical: float | None
    change: float | None
    numbers: frozenset[float]


@dataclass(frozen=True)
class Facts:
    """All that prose may state."""

    general: frozenset[float] = frozenset()
    """Numbers of no single metric, with the percentages and counts that follow from them."""
    percents: frozenset[float] = frozenset()
    """What may stand before a percent sign, of no single metric."""
    stated: frozenset[float] = frozenset()
    """Numbers of the answers' own sentences: they may be repeated where no single metric is spoken of."""
    readings: tuple[Reading, ...] = ()
    names: tuple[str, ...] = ()
    """Short texts with digits in them, such as a cohort: no numbers of their own. Longest first."""
    words: str = ""
    """All text of the answers and of the question: names must stand in it."""
    times: frozenset[str] = field(default_factory=frozenset[str])
    """Dates and clock times that may be stated, in UTC and in the reader's zone."""

    def of(self, metric: str) -> tuple[Reading, ...]:
        """The readings of one metric."""
        return tuple(reading for reading in self.readings if reading.metric == metric)


def facts_of(payloads: Iterable[Mapping[str, Any]], zone: tzinfo = UTC, said: str = "") -> Facts:
    """The facts of some answers. `said` is the question and the calls' arguments: their names and times may be repeated."""
    found = _Found([said])
    for payload in payloads:
        found.collect(payload, found.general, found.percents)
    text = "\n".join(found.words)
    times = frozenset(_shown_times(text, zone))
    stated = frozenset(_stated(text))
    short = {
        each
        for each in text.split("\n")
        if len(each) <= _NAME_LENGTH and re.search(r"\d", each) and re.search(r"[A-Za-z]", each)
    }
    names = tuple(sorted(short, key=len, reverse=True))
    return Facts(frozenset(found.general), frozenset(found.percents), stated, tuple(found.readings), names, text, times)


@dataclass
class _Found:
    words: list[str]
    general: set[float] = field(default_factory=set[float])
    percents: set[float] = field(default_factory=set[float])
    readings: list[Reading] = field(default_factory=list[Reading])

    def collect(self, entry: object, numbers: set[float], percents: set[float]) -> None:
        if isinstance(entry, Mapping):
            self._collect_mapping(entry, numbers, percents)
        elif isinstance(entry, str):
            self.words.append(entry)
        elif isinstance(entry, Sequence):
            numbers.add(float(len(entry)))
            for each in entry:
                self.collect(each, numbers, percents)
        elif isinstance(entry, int | float) and not isinstance(entry, bool):
            numbers.update((float(entry), abs(float(entry))))
            if abs(entry) <= 1:
                percents.update((100.0 * entry, abs(100.0 * entry)))

    def _collect_mapping(self, entry: Mapping[str, Any], numbers: set[float], percents: set[float]) -> None:
        own, shares = (set[float](), set[float]()) if _is_reading(entry) or entry.get("unit") == "%" else (numbers, percents)
        for key, each in entry.items():
            self.words.append(str(key))
            self.collect(each, own, shares)
        if own is not numbers and not _is_reading(entry):  # a series in percent
            numbers.update(own)
            percents.update(own | shares)
        elif own is not numbers:
            value = entry.get("value", entry.get("device_median"))
            typical = next((entry[name] for name in _TYPICAL if entry.get(name) is not None), None)
            self.readings.append(Reading(entry["metric"], value, typical, entry.get("change"), frozenset(own | shares)))
        count, of = entry.get("count"), entry.get("of")
        if isinstance(count, int) and isinstance(of, int) and of:
            percents.add(100 * count / of)
        if isinstance(entry.get("difference"), float):
            numbers.add(100 * entry["difference"])
        if isinstance(entry.get("scale"), float):
            own.add(entry["scale"] / 1.4826)


def _is_reading(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("metric")) and isinstance(entry["metric"], str) and ("value" in entry or "device_median" in entry)


def _stated(text: str) -> Iterator[float]:
    for found in re.finditer(r"(?<![\w.-])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w-])", _TIME.sub(" ", text)):
        yield abs(float(found[0].replace(",", "")))
        yield float(found[0].replace(",", ""))


def _shown_times(text: str, zone: tzinfo) -> Iterator[str]:
    for found in _TIME.finditer(text):
        try:
            moment = datetime.fromisoformat(found[0])
        except ValueError:
            continue
        stamped = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        for seen in (stamped.astimezone(UTC), stamped.astimezone(zone)):
            yield from (seen.strftime("%Y-%m-%d"), seen.strftime("%H:%M"))
