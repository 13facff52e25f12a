"""The check itself: sentence by sentence, with the reason for each that does not hold."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.grounding.facts import Facts, Reading
from agent.offline.vocabulary import vocabulary

_NUMBER = r"[-\u2212]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?"
_NUMBERS = re.compile(rf"(?<![\w.,:/-]){_NUMBER}(?![\w:]|[.,]\d|-\d)")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_CLOCK = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\b")
_NAME = re.compile(r"\b(?:[ais]-[0-9a-f]{4,}|[A-Za-z]{1,8}-\d{2,}|[A-Z]{1,4}\d{2,3})\b")
_SPELLED = re.compile(
    r"\b(one|two|three|four|five|six|seven|eight|nine|ten|dozen|hundred|thousand|million)\b"
    r"(?= (?:devices?|stores?|anomal|times|percent|rows))",
    re.IGNORECASE,
)
_WORTH = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "dozen": 12,
    "hundred": 100,
    "thousand": 1000,
    "million": 1_000_000,
}
_UP = re.compile(
    r"\b(above|higher|over (?=the|its|what)|exceed\w*|more than|greater|larger|faster|longer|elevated|"
    r"rose|risen|rising|increased|up from|too high|abnormally high|unusually high)\b",
    re.IGNORECASE,
)
_DOWN = re.compile(
    r"\b(below|lower|under (?=the|its|what)|less than|smaller|slower|shorter|fewer|reduced|"
    r"fell|fallen|falling|dropped|decreased|declined|down from|too low|abnormally low|unusually low)\b",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    rf"({_NUMBER})[^.;\d]{{0,40}}?\b(above|below|higher than|lower than|more than|less than|greater than|exceed\w*)\b"
    rf"[^.;\d]{{0,40}}?({_NUMBER})",
    re.IGNORECASE,
)
_TYPICAL = re.compile(
    rf"\b(?:typical|normal|usual|expected)\b(?: (?:value|level|of|is|was|at|about|around)){{0,3}} ({_NUMBER})", re.IGNORECASE
)
_COUNTED = re.compile(r"\s*(?:devices?|handhelds?|units?|stores?|anomal\w+|alerts?|rows?|incidents?|times)\b", re.IGNORECASE)
_DAY_BEFORE = re.compile(r"\b(?:day before|yesterday|day earlier|previous day)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """A claim that does not hold, and why."""

    sentence: str
    why: str


def check(prose: str, facts: Facts) -> tuple[Finding, ...]:
    """Every claim of the prose that the facts do not support; empty if all hold."""
    return tuple(Finding(sentence, why) for sentence in claims(prose) for why in _faults(sentence, facts))


def supported(prose: str, facts: Facts) -> str:
    """The prose without the sentences that do not hold."""
    bad = {finding.sentence for finding in check(prose, facts)}
    kept = [[each for each in _sentences(line) if each not in bad] for line in prose.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(" ".join(line) for line in kept)).strip()


def unsupported_rate(answers: Iterable[tuple[str, Facts]]) -> float:
    """Share of claims (sentences with a number, a name or a comparison) that do not hold; 0 if there are none."""
    every = bad = 0
    for prose, facts in answers:
        found = {finding.sentence for finding in check(prose, facts)}
        stated = [
            each
            for each in claims(prose)
            if _NUMBERS.search(each) or _NAME.search(each) or _UP.search(each) or _DOWN.search(each)
        ]
        every += len(stated)
        bad += sum(each in found for each in stated)
    return bad / every if every else 0.0


def claims(prose: str) -> Iterator[str]:
    """The sentences of the prose; a table's row or a list's item is one."""
    for line in prose.split("\n"):
        yield from _sentences(line)


def _sentences(line: str) -> Sequence[str]:
    return [each for each in re.split(r"(?<=[.!?;])\s+(?=[A-Z“*_(\d-])", line) if each.strip()]


def _faults(sentence: str, facts: Facts) -> Iterator[str]:
    yield from _foreign_names(sentence, facts)
    yield from _foreign_times(sentence, facts)
    metrics = _metrics(sentence, facts)
    readings = [reading for metric in metrics for reading in facts.of(metric)]
    one = len(metrics) == 1
    for text, after in _numbers(_without_names(sentence, facts)):
        if not _holds(text, after, facts, readings if one else list(facts.readings), one=one):
            yield f"{text} is not what was measured" + (f" of {metrics[0]}" if one else "")
    yield from _directions(sentence, readings, facts)


def _numbers(text: str) -> Iterator[tuple[str, str]]:
    """Each number and what follows it. Dates, times and the places of a list or ranking are not among them."""
    bare = _CLOCK.sub(" ", _DATE.sub(" ", text))
    bare = re.sub(r"^\s*(?:\| \d{1,3} \||(?:[-*] )?\d{1,2}[.)] )", " ", bare)
    yield from ((found[0], bare[found.end() : found.end() + 20]) for found in _NUMBERS.finditer(bare))
    yield from ((str(_WORTH[found[1].lower()]), bare[found.end() : found.end() + 20]) for found in _SPELLED.finditer(bare))


def _holds(text: str, after: str, facts: Facts, readings: Sequence[Reading], *, one: bool) -> bool:
    of_metrics = frozenset[float]().union(*(reading.numbers for reading in readings))
    repeated = frozenset[float]() if one and readings else facts.stated
    if _COUNTED.match(after):
        return any(
            float(text.replace(",", "").replace("\u2212", "-")) == number for number in facts.general | of_metrics | repeated
        )
    general = facts.percents if re.match(r"\s?(?:%|percent)", after) else facts.general
    return any(_shows(text, number) for number in general | of_metrics | repeated)


def _shows(text: str, number: float) -> bool:
    """Whether the text is the number, rounded as far as it is written."""
    plain = text.replace(",", "").replace("\u2212", "-")
    places = len(plain.partition("e")[0].partition(".")[2])
    exponent = int(plain.partition("e")[2] or 0)
    whole = plain.lstrip("-").partition("e")[0]
    slack = 0.5 * 10.0 ** (exponent - places)
    if "." in plain and len(whole.replace(".", "").lstrip("0")) < 2:  # 0.2: one digit says little
        slack = min(slack, 0.05)
    return abs(float(plain) - number) <= slack * 1.000001


def _without_names(sentence: str, facts: Facts) -> str:
    quoted = re.sub(r"“[^”]*”", " ", sentence)
    for name in facts.names[:2_000]:
        quoted = quoted.replace(name, " ")
    return _NAME.sub(" ", quoted)


def _foreign_names(sentence: str, facts: Facts) -> Iterator[str]:
    for found in _NAME.finditer(re.sub(r"“[^”]*”", " ", sentence)):
        if found[0].casefold() not in facts.words.casefold():
            yield f"{found[0]} is not among what was found"


def _foreign_times(sentence: str, facts: Facts) -> Iterator[str]:
    for found in (*_DATE.finditer(sentence), *_CLOCK.finditer(sentence)):
        if found[0].zfill(5)[:10] not in facts.times and found[0] not in facts.words:
            yield f"{found[0]} is no time of what was found"


def _metrics(sentence: str, facts: Facts) -> list[str]:
    exact = [name for name in dict.fromkeys(reading.metric for reading in facts.readings) if name in sentence]
    if exact:
        return exact
    words = vocabulary()["metrics"]
    return [name for name in dict.fromkeys(r.metric for r in facts.readings) if name in words and words[name].search(sentence)]


def _directions(sentence: str, readings: Sequence[Reading], facts: Facts) -> Iterator[str]:
    bare = _CLOCK.sub(" ", _DATE.sub(" ", sentence))
    for found in _COMPARED.finditer(_without_names(bare, facts)):
        first, last = (float(found[place].replace(",", "").replace("\u2212", "-")) for place in (1, 3))
        if (first > last) != (_UP.search(found[2]) is not None) and first != last:
            yield f"{found[1]} is not {found[2]} {found[3]}"
    if not readings:
        return
    for found in _TYPICAL.finditer(bare):
        if not any(r.typical is not None and _shows(found[1], r.typical) for r in readings) and _is_of(found[1], readings):
            yield f"{found[1]} is not what is typical"
    up, down = _UP.search(sentence) is not None, _DOWN.search(sentence) is not None
    signs = {sign for reading in readings if (sign := _sign(reading, sentence)) is not None}
    if up != down and signs and (1 if up else -1) not in signs:
        yield "the direction is the other way round"


def _is_of(text: str, readings: Sequence[Reading]) -> bool:
    return any(_shows(text, number) for reading in readings for number in reading.numbers)


def _sign(reading: Reading, sentence: str) -> int | None:
    moved = reading.change if _DAY_BEFORE.search(sentence) else None
    if moved is None and reading.value is not None and reading.typical is not None:
        moved = reading.value - reading.typical
    return None if moved is None else (moved > 0) - (moved < 0)
