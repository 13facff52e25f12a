"""Which wish a question states: a small text classifier, trained at first use on the phrases of the package."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from threadpoolctl import threadpool_limits

from agent.offline.entities import masked

UNSURE_BELOW = 0.28
"""Probability below which three wishes are offered instead of acting on the best one."""
SURE_FROM = 0.5
"""Probability that a wish needs which stores or changes something."""


@dataclass(frozen=True)
class Guess:
    """One wish and how probable it is."""

    intent: str
    probability: float


@lru_cache(maxsize=512)
def guesses(text: str, known: frozenset[str] = frozenset()) -> tuple[Guess, ...]:
    """All wishes, the most probable first."""
    model = _classifier()
    chances = model.predict_proba([masked(text, known)])[0]
    return tuple(
        sorted((Guess(str(i), float(p)) for i, p in zip(model.classes_, chances, strict=True)), key=lambda g: -g.probability)
    )


def offer(intent: str) -> str:
    """The wish in a few words, as it is offered to a person."""
    return phrases()[intent]["offer"]


@cache
def phrases() -> Mapping[str, Mapping[str, Any]]:
    """Per intent: `offer` and the training `phrases`."""
    content: dict[str, dict[str, Any]] = yaml.safe_load((files("agent") / "phrases" / "intents.yaml").read_text("utf-8"))
    return content


@cache
def _classifier() -> Pipeline:
    texts, intents = zip(*((masked(p), intent) for intent, entry in phrases().items() for p in entry["phrases"]), strict=True)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")  # noqa: S106 - no secret
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    # one against the rest with liblinear fits in half a second; the joint fit takes four and is no better
    one = LogisticRegression(C=30, solver="liblinear")
    # its vectors are short: threads of the linear algebra wait for each other, on a busy machine for half a minute
    with threadpool_limits(1):
        return make_pipeline(make_union(words, characters), OneVsRestClassifier(one)).fit(texts, intents)
