"""The same wish in fewer words: short forms written out, courtesies left out, one word for one thing."""

import re
from functools import cache

from agent.offline.vocabulary import vocabulary

_COURTESY = re.compile(
    r"^(?:(?:hi|hello|hey|good morning|morning|so|well|ok|oh|and|now|then|please|kindly|sorry|excuse me)\b[\s,.!:]*(?=\S))+"
    r"|^(?:(?:can|could|would|will) (?:you|i|we|someone|anybody)\b(?: please| kindly| maybe| perhaps)?(?: mind)?"
    r"|(?:i would|i|we) (?:like|want|need|love)(?: you)?(?: to)?\b|i would be (?:glad|grateful|happy) if you(?: could)?"
    r"|may i (?:ask|know|see|have)\b|do you mind|is it possible to|be so kind (?:as to|and)|let us|please)\b[\s,]*(?=\S)"
    r"|[\s,]*\b(?:please|thanks|thank you|if you do not mind|if possible|if i may ask|for me|(?:would|will|can|could) you)"
    r"[\s.!?]*$"
)


_AFTER_A_NOUN = r"(?<!device )(?<!unit )(?<!model )(?<!store )(?<![\"'\u201c])"
"""What stands there is a name, however it is spelled."""


def written_out(text: str) -> str:
    """The text with what is typed in a hurry written out, so that `b4` is no model and `tmrw` is a day."""
    for pattern, word in _hurried():
        text = pattern.sub(word, text)
    return text


def plainly(text: str) -> str:
    """The text without what says nothing of the wish; as it was if nothing else is left."""
    shown = text.lower().replace("\u2019", "'")
    for pattern, word in _forms():
        shown = pattern.sub(word, shown)
    for _ in range(3):  # a greeting, then "could you", then "please"
        shown = _COURTESY.sub("", shown) or shown
    return re.sub(r"\s+", " ", shown).strip()


@cache
def _forms() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((pattern, word) for word, pattern in vocabulary()["plain"].items())


@cache
def _hurried() -> tuple[tuple[re.Pattern[str], str], ...]:
    found = vocabulary()["hurried"].items()
    return tuple((re.compile(rf"{_AFTER_A_NOUN}{pattern.pattern}", re.IGNORECASE), word) for word, pattern in found)
