"""Words as BM25 weights in a sparse vector; the collection adds how rare each term is (Qdrant's IDF modifier).

Terms are stems, and names of metrics are taken apart (`TotalBatteryLevelDrop` says battery).
"""

import re
import unicodedata
from collections import Counter
from hashlib import blake2b

_SATURATION, _LENGTH_SHARE = 1.2, 0.75
_TYPICAL_LENGTH = 24
"""Terms of a usual decision: verdict, title, a sentence, metrics. Fixed: no weight depends on what else is kept."""
_MOST_CHARACTERS = 8_000
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+(?:\.\d+)*|[^\W\d_A-Za-z]+")
_COMMON = frozenset(
    """a all an and any are as at be been by do does for from had has have how i if in into is it its just not of on or our out
    so some such that the their them then there these they this those to too was we were what when where which while who will
    with you your""".split()  # noqa: SIM905 - a paragraph is easier to read than 60 quoted words
)
_ENDINGS = (
    ("ies", "y"), ("sses", "ss"), ("ations", ""), ("ation", ""), ("ings", ""), ("ing", ""), ("ments", ""), ("ment", ""),
    ("edly", ""), ("ed", ""), ("ers", ""), ("er", ""), ("es", ""), ("ly", ""), ("s", ""), ("e", ""),
)  # fmt: skip
_SHORTEST_STEM = 3


def terms_of(text: str) -> list[str]:
    """The text's terms, in order: folded, stemmed, without the words that every sentence has."""
    plain = unicodedata.normalize("NFKD", text[:_MOST_CHARACTERS])
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = (match.group().casefold() for match in _WORD.finditer(plain))
    return [_stem(word) for word in words if word not in _COMMON]


def document_weights(text: str) -> dict[int, float]:
    """BM25's weight by term index: saturated counts, less in a long text. Empty if the text has no terms."""
    counts = Counter(map(_index, terms_of(text)))
    length = sum(counts.values()) / _TYPICAL_LENGTH
    damping = _SATURATION * (1 - _LENGTH_SHARE + _LENGTH_SHARE * length)
    return {index: n * (_SATURATION + 1) / (n + damping) for index, n in counts.items()}


def query_weights(text: str) -> dict[int, float]:
    """One for each distinct term, by index."""
    return dict.fromkeys(map(_index, terms_of(text)), 1.0)


def share_in_common(question: str, text: str) -> float:
    """How many of the question's distinct terms the text has, 0 to 1."""
    asked = set(terms_of(question))
    return len(asked & set(terms_of(text))) / len(asked) if asked else 0.0


def _index(term: str) -> int:
    return int.from_bytes(blake2b(term.encode(), digest_size=4).digest(), "big")


def _stem(word: str) -> str:
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM and not word.endswith("ss"):
            stem = word.removesuffix(ending) + instead
            return stem[:-1] if len(stem) > _SHORTEST_STEM and stem[-1] == stem[-2] and stem[-1] not in "ls" else stem
    return word
