"""Words for metrics and groups, from `agent/phrases/vocabulary.yaml`."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml


@cache
def vocabulary() -> Mapping[str, Mapping[str, re.Pattern[str]]]:
    """For `metrics`, `groups`, `hurried` and `plain` words: what is meant, by pattern of how people call it."""
    text = (files("agent") / "phrases" / "vocabulary.yaml").read_text("utf-8")
    content: dict[str, dict[str, list[str]]] = yaml.safe_load(text)
    return {kind: {name: _any_of(words) for name, words in names.items()} for kind, names in content.items()}


def _any_of(words: list[str]) -> re.Pattern[str]:
    patterns = (re.escape(word).replace(r"\*", r"\w*") for word in words)
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)
