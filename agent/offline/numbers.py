"""Numbers as people write them in a question."""

import re

_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "twelve": 12, "fourteen": 14, "fifteen": 15, "twenty": 20, "thirty": 30, "couple of": 2, "few": 3,
}  # fmt: skip
_ORDINALS = {
    "first": 1, "1st": 1, "top one": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5,
    "5th": 5,
}  # fmt: skip
NUMBER = r"(?:\d+(?:,\d{3})*(?:\.\d+)?|" + "|".join(sorted(_WORDS, key=len, reverse=True)) + ")"
ORDINAL = re.compile(
    r"\b(?:the )?(" + "|".join(_ORDINALS) + r")\b(?: one)?|(?:\b(?:number|no\.?)|#) ?([1-9])\b|^\s*([1-9])\s*[.!)]?\s*$",
    re.IGNORECASE,
)


def number(text: str) -> float:
    """The number that a match of `NUMBER` stands for."""
    plain = text.lower().replace(",", "").strip()
    return float(_WORDS[plain]) if plain in _WORDS else float(plain)


def ordinal(text: str) -> int | None:
    """Which one of a list is meant, from 1; None if the text does not say."""
    found = ORDINAL.search(text)
    if found is None:
        return None
    word, digit, alone = found.groups()
    return _ORDINALS[word.lower()] if word else int(digit or alone)
