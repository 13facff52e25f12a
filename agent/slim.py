"""A tool's arguments as a small model is shown them: those that the question can fill, with the values that it names."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.offline.entities import entities_in
from agent.offline.thread import Turn, focus_after
from agent.offline.times import window_in

_STRICT = frozenset({"pattern", "maxLength", "minLength", "maximum", "minimum", "title", "default", "$defs"})
_MADE_UP = frozenset({"fleet", "cursor", "run", "kind", "level", "include_muted", "min_severity", "version"})
"""Arguments that may be left out, and that small models make up instead of leaving them out."""
_ONE_OF = ("anomaly", "incident", "device")
"""Arguments of which a call names one; the server refuses more."""
_NAMED = frozenset({*_ONE_OF, "suggestion", "metric", "feature", "store", "cohort", "group", "since", "until", "around"})
"""Arguments that only a name or a time can fill."""


def named_arguments(turns: Sequence[Turn], now: datetime) -> Mapping[str, str]:
    """By argument, the value that the last question or its thread names, as the tools spell it."""
    focus, said = focus_after(turns[:-1]), turns[-1].prompt
    names, window = entities_in(said, focus.devices), window_in(said, now)
    pointed = names if names.device or names.anomaly or names.incident else focus
    found = {name: getattr(pointed, name) for name in _ONE_OF} | {
        "suggestion": names.suggestion or focus.suggestion,
        "metric": names.metric,
        "feature": names.metric and f"{names.metric}_mean",
        "store": names.store,
        "cohort": names.cohort,
        "group": names.cohort,
        "since": window and window.since and window.since.isoformat(),
        "until": window and window.latest and window.latest.isoformat(),
        "around": window and window.around and window.around.isoformat(),
    }
    return {name: value for name, value in found.items() if value}


def slim(schema: Mapping[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    """The tool's schema without what may be left out and nothing named can fill, and without lengths and patterns.

    A grammar made of lengths and patterns takes minutes a reply, and the server checks them in any case.
    """
    required, arguments = schema.get("required", ()), schema.get("properties", {})
    one = next((name for name in _ONE_OF if name in arguments and name in named), None)
    kept = {
        name: _told(name, _loose(each, schema.get("$defs", {})), named)
        for name, each in arguments.items()
        if name in required or (name not in _MADE_UP and _fillable(name, named, one))
    }
    return {**_loose({name: value for name, value in schema.items() if name != "properties"}, {}), "properties": kept}


def _fillable(name: str, named: Mapping[str, str], one: str | None) -> bool:
    return name == one if name in _ONE_OF else name not in _NAMED or name in named


def _told(name: str, schema: dict[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    return {**schema, "description": f"{named[name]} is named."} if name in named else schema


def _loose(schema: Any, shared: Mapping[str, Any]) -> Any:
    if isinstance(schema, Mapping):
        whole = {**shared.get(schema.get("$ref", "").rpartition("/")[2], {}), **schema}
        return {name: _loose(value, shared) for name, value in whole.items() if name not in _STRICT and name != "$ref"}
    return [_loose(each, shared) for each in schema] if isinstance(schema, list) else schema
