"""Numbers, times and foreign text as people read them."""

import re
import unicodedata
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

UTC_ZONE = ZoneInfo("UTC")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*:)(?=//)|\b(www)(?=\.)|(mailto|javascript|data)(?=:)")
_JOINER = "\u2060"


def quiet(text: str) -> str:
    """Text as Markdown that neither loads nor links to anything: brackets and angle brackets escaped, addresses broken up.

    It works on any piece of a stream: a bracket is escaped wherever it stands.
    """
    broken = _ADDRESS.sub(lambda found: f"{found[0]}{_JOINER}", text)
    return broken.replace("[", "\\[").replace("<", "&lt;")


def foreign(text: object, most: int = 120) -> str:
    """Foreign text in one line of at most `most` characters, signs that steer or show nothing spelled out."""
    told = str(text)
    shown = "".join(_spelled(sign) if unicodedata.category(sign) in _UNSEEN else sign for sign in told[:most])
    return shown + ("…" if len(told) > most else "")


def _spelled(sign: str) -> str:
    return sign.encode("unicode_escape", "backslashreplace").decode("ascii")


def sentence(text: str) -> str:
    """Words of the server as a sentence of their own: begun large, ended with a full stop."""
    told = text.strip()
    return f"{told[:1].upper()}{told[1:]}{'' if told.endswith(('.', '!', '?', '…')) else '.'}" if told else ""


_VERDICTS = {"unlabelled": "not judged"}


def verdict_words(verdict: str) -> str:
    """What people called an anomaly, as they say it."""
    return _VERDICTS.get(verdict, verdict.replace("_", " "))


_STATISTICS = {"mean": "mean", "std": "spread", "change": "change"}


def feature_words(feature: str) -> str:
    """A feature as its metric and what is taken of it: `Upload_mean` is the mean of Upload."""
    metric, _, statistic = feature.rpartition("_")
    return f"{metric}, {_STATISTICS[statistic]}" if metric and statistic in _STATISTICS else feature


def number(value: Any, digits: int = 3) -> str:
    """A number to that many digits, thousands apart; a dash for none."""
    if value is None:
        return "-"
    size = abs(float(value))
    if size >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if size >= 0.001 or size == 0 else f"{value:.1e}"


def count(value: int, noun: str) -> str:
    """A count with its noun."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def percent(share: float) -> str:
    """A share in percent, to one digit where that says something."""
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def moment(time: str | datetime | None, zone: ZoneInfo = UTC_ZONE) -> str:
    """A time to the minute in the zone, naming it."""
    if time is None:
        return "-"
    told = datetime.fromisoformat(time) if isinstance(time, str) else time
    local = told.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M} {'UTC' if zone.key == 'UTC' else local.tzname()}"


def span(window: Any, zone: ZoneInfo = UTC_ZONE) -> str:
    """A window from its first to its last moment."""
    if not window or not window.get("first"):
        return "no window"
    first, last = (datetime.fromisoformat(window[end]).astimezone(zone) for end in ("first", "last"))
    return f"{first:%d %b %Y %H:%M} to {last:%d %b %Y %H:%M} {zone.key}"


def ago(hours: float | None) -> str:
    """How long ago, in hours or days."""
    if hours is None:
        return "no telemetry"
    return f"{number(round(hours, 1))} h ago" if hours < 72 else count(round(hours / 24), "day") + " ago"
