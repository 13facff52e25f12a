"""Time ranges in words, read relative to a moment and in its time zone."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from agent.offline.numbers import NUMBER, number

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = rf"\d{{4}}-\d{{2}}-\d{{2}}|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?\b|\b\d{{1,2}}(?:st|nd|rd|th|\.)? (?:of )?{_MONTH}\b"
_DAY_WORD = (
    r"day before yesterday|yesterday|today|tonight|tomorrow|last night|overnight|this (?:morning|afternoon|evening|week|month)"
    r"|(?:last|next) (?:week|month|weekend)|(?:(?:last|this|next|on|past) )?(?:" + "|".join(_WEEKDAYS) + r")s?"
)
_DAY = re.compile(rf"\b(?:{_DATE}|{_DAY_WORD})\b", re.IGNORECASE)
_SPAN = re.compile(
    rf"\b(?:(?:last|past|previous|recent) )((?:{NUMBER})?)\s?(minutes?|mins?|hours?|hrs?|h|days?|d|weeks?|w|months?)\b",
    re.IGNORECASE,
)
_AHEAD = re.compile(rf"\bfor (?:the )?(?:next )?({NUMBER})\s?(hours?|h|days?|d|weeks?|w|months?)\b", re.IGNORECASE)
_CLOCK = re.compile(
    r"\b(?:T)?([01]?\d|2[0-3]):([0-5]\d)(?::\d{2})?(?:\s?([ap])\.?m\.?)?|\b(1[0-2]|[1-9])\s?([ap])\.?m\b|\b(noon|midnight)\b",
    re.IGNORECASE,
)
_PARTS = {"morning": (6, 12), "afternoon": (12, 18), "evening": (18, 24), "tonight": (18, 24)}
TIME = re.compile(
    "|".join(
        (
            r"\b(?:since|until|till|from|between|on|at|around|in the|over the|during the|for the)?\s*(?:the )?"
            rf"(?:{_DAY.pattern})",
            _SPAN.pattern,
            _AHEAD.pattern,
            rf"(?:\bat |\baround )?(?:{_CLOCK.pattern})",
        )
    ),
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Window:
    """A time range; `moment` is set where one time is meant rather than a range. All times carry their zone."""

    since: datetime | None
    until: datetime | None
    moment: datetime | None = None

    @property
    def latest(self) -> datetime | None:
        """The last moment in it, as tools take `until`: days end before the next one's first row, hours as they were said."""
        if self.until is None or self.until.time() != time():
            return self.until
        return self.until - timedelta(microseconds=1)

    @property
    def around(self) -> datetime | None:
        """The moment meant, or the middle of the range."""
        if self.moment or self.since is None or self.until is None:
            return self.moment
        return self.since + (self.until - self.since) / 2


def window_in(text: str, now: datetime) -> Window | None:
    """The past time range that a text names, or None. `now` is what its words are relative to, in their zone."""
    span = _SPAN.search(text)
    of_calendar = span and span[1] == "" and re.match(r"(?:last|previous) (?:week|month)", span[0], re.IGNORECASE)
    if span and not of_calendar:
        return Window(now - _length(span[1], span[2]), None)
    days = [_day(found[0], now) for found in _DAY.finditer(text)]
    clocks = [_clock_of(found) for found in _CLOCK.finditer(text)]
    if re.search(r"\b(since|starting|after)\b", text, re.IGNORECASE) and days:
        return Window(_at(days[0][0], clocks[0]) if clocks else days[0][0], None)
    if clocks:
        return _by_clock(days[0] if days else None, clocks, now)
    if not days:
        return None
    since, until = days[0][0], days[-1][1]
    return Window(since, None if until >= now else until)


def end_in(text: str, now: datetime) -> datetime | None:
    """When something is said to be over, or None: "until Friday" is the end of that day, "for three days" counts from now."""
    ahead = _AHEAD.search(text)
    if ahead:
        return now + _length(ahead[1], ahead[2])
    said = re.search(r"\b(?:until|till|through|over by|ends?(?: on)?|over)\b(.*)", text, re.IGNORECASE)
    if said is None:
        return None
    day, clock = _DAY.search(said[1]), _CLOCK.search(said[1])
    if day is None and clock is None:
        return None
    since, until = _day(day[0], now, ahead=True) if day else _whole(now)
    if clock:
        return _at(since, _clock_of(clock))
    part = re.search(r"\b(morning|afternoon|evening)\b", said[1], re.IGNORECASE)
    return _at(since, time(_PARTS[part[1].lower()][0])) if part else until


def _length(amount: str, unit: str) -> timedelta:
    if unit.lower().startswith("month"):
        return timedelta(days=30 * (number(amount) if amount.strip() else 1))
    return timedelta(seconds=_UNITS[unit[0].lower()] * (number(amount) if amount.strip() else 1))


def _by_clock(day: tuple[datetime, datetime] | None, clocks: list[time], now: datetime) -> Window:
    start = day[0] if day else now
    first = _at(start, clocks[0])
    if day is None and first > now:
        first -= timedelta(days=1)
    if len(clocks) > 1:
        last = _at(first, clocks[1])
        return Window(first, last if last > first else last + timedelta(days=1))
    return Window(first, first + timedelta(hours=1), first)


def _clock_of(found: re.Match[str]) -> time:
    hour, minute, half, alone, alone_half, word = found.groups()
    if word:
        return time(12 if word.lower() == "noon" else 0)
    shown, part = int(hour or alone), (half or alone_half or "").lower()
    return time((shown % 12 + (12 if part == "p" else 0)) if part else shown, int(minute or 0))


def _at(day: datetime, clock: time) -> datetime:
    return day.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)


def _whole(moment: datetime) -> tuple[datetime, datetime]:
    start = _at(moment, time())
    return start, start + timedelta(days=1)


def _day(text: str, now: datetime, *, ahead: bool = False) -> tuple[datetime, datetime]:
    words = text.lower().strip()
    today, end = _whole(now)
    day = timedelta(days=1)
    simple = {
        "today": (today, end),
        "day before yesterday": (today - 2 * day, today - day),
        "yesterday": (today - day, today),
        "tomorrow": (end, end + day),
        "last night": (today - timedelta(hours=6), today + timedelta(hours=6)),
        "overnight": (today - timedelta(hours=6), today + timedelta(hours=6)),
        "tonight": (today + timedelta(hours=18), end),
    }
    if words in simple:
        return simple[words]
    if words.startswith("this ") and words[5:] in _PARTS:
        first, last = _PARTS[words[5:]]
        return today + timedelta(hours=first), today + timedelta(hours=last)
    if words.endswith(("week", "weekend", "month")):
        return _longer(words, today)
    name = words.removesuffix("s").split()[-1]
    return _whole(_weekday(name, words, today, ahead=ahead)) if name in _WEEKDAYS else _whole(_date(words, today, ahead=ahead))


def _longer(words: str, today: datetime) -> tuple[datetime, datetime]:
    monday = today - timedelta(days=today.weekday())
    steps = {"last": -1, "this": 0, "next": 1}[words.split(maxsplit=1)[0]]
    if words.endswith("month"):
        month = today.year * 12 + today.month - 1 + steps
        return _month(today, month), _month(today, month + 1)
    start = monday + timedelta(weeks=steps)
    if words == "this week" and today == monday:  # on a Monday it has hardly begun: the week that ends now is meant
        return today - timedelta(weeks=1), today + timedelta(days=1)
    return (start + timedelta(days=5) if words.endswith("weekend") else start), start + timedelta(weeks=1)


def _month(today: datetime, month: int) -> datetime:
    return today.replace(year=month // 12, month=month % 12 + 1, day=1)


def _weekday(name: str, words: str, today: datetime, *, ahead: bool) -> datetime:
    distance = _WEEKDAYS.index(name) - today.weekday()
    if ahead or words.startswith("next"):
        return today + timedelta(days=distance % 7 or (7 if words.startswith("next") else 0))
    return today - timedelta(days=-distance % 7 or (7 if words.startswith(("last", "past")) else 0))


def _date(words: str, today: datetime, *, ahead: bool) -> datetime:
    iso = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", words)
    if iso:
        return _existing(today, int(iso[1]), int(iso[2]), int(iso[3]))
    month = 1 + _MONTHS.index(re.search(r"[a-z]{3,}", words.replace("of", ""))[0][:3])  # type: ignore[index]
    found = _existing(today, today.year, month, int(re.search(r"\d+", words)[0]))  # type: ignore[index]
    if not ahead and found > today:
        return _existing(today, today.year - 1, month, found.day)
    return found


def _existing(today: datetime, year: int, month: int, day: int) -> datetime:
    try:
        return today.replace(year=year, month=month, day=day)
    except ValueError:  # 31 February: the last day that the month has
        return (today.replace(year=year, month=1, day=28) + timedelta(days=31 * (month - 1))).replace(
            month=min(month, 12), day=28
        )
