"""Numbers, times, rates and tables as people read them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from agent.quoting import plain

Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Reader:
    """For whom an answer is written: in which time zone, and as of when."""

    zone: tzinfo
    now: datetime

    @property
    def zone_name(self) -> str:
        """The zone as it is stated in answers."""
        return str(self.zone)

    def time(self, moment: str | None) -> str:
        """An ISO 8601 time in the reader's zone, such as `Thu 2026-03-12 09:30`; `unknown` for none."""
        if not moment:
            return "unknown"
        return datetime.fromisoformat(moment).astimezone(self.zone).strftime("%a %Y-%m-%d %H:%M")


def figure(value: float | None, unit: str = "") -> str:
    """A number with at most three significant digits after the point; `not known` for None."""
    if value is None:
        return "not known"
    shown = (
        f"{value:,.0f}"
        if abs(value) >= 1000 or value == int(value)
        else f"{value:,.1f}"
        if abs(value) >= 10
        else f"{value:.3g}"
    )
    return f"{shown} {unit}".strip() if unit != "%" else f"{shown} %"


def percent(share: float | None) -> str:
    """A share as percent; `not known` for None."""
    return "not known" if share is None else f"{figure(100 * share)} %" if share else "0 %"


def counted(number: int, one: str) -> str:
    """Such as `1 device`, `2 devices`, `1,200 anomalies`."""
    many = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{number:,} {one if number == 1 else many}"


def rate(entry: Payload) -> str:
    """`12 of 40 devices (30 %)`, `1 of 1 device (100 %)`."""
    count, of, what = entry["count"], entry["of"], str(entry["what"])
    return f"{count:,} of {of:,} {_one(what) if of == 1 else what}" + (f" ({percent(count / of)})" if of else "")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; cells are made plain, because names in them are foreign."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(plain(cell, 100) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def sentences(*parts: str) -> str:
    """The parts that are not empty, in paragraphs."""
    return "\n\n".join(part for part in parts if part)


def said(payload: Payload) -> str:
    """The server's own sentence."""
    return plain(payload.get("summary", ""), 600)


def footer(payload: Payload, reader: Reader) -> str:
    """Window, time zone and freshness of an answer; empty if it states none."""
    window, until = payload.get("window") or {}, payload.get("telemetry_until")
    parts: list[str] = []
    if window.get("first") and window.get("last"):
        parts.append(f"Window: {reader.time(window['first'])} to {reader.time(window['last'])}")
    if until:
        parts.append(f"telemetry until {reader.time(until)}")
    return f"_{'; '.join(parts)} ({reader.zone_name})._" if parts else ""


def _one(many: str) -> str:
    return f"{many[:-3]}y" if many.endswith("ies") else many.removesuffix("s")
