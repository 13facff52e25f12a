"""Arguments as strictly as the schema states them: the SDK would drop an unknown one and take "5" or true for a number."""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from mcp.server.mcpserver.tools import Tool

from server.errors import InvalidInput, NotFound

_SHOWN = 80
_MOST_DIGITS = 1e300


class StrictArguments:
    """Checks the arguments of every tool against its schema. Schemas are compiled once."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._checks = {tool.name: Draft202012Validator(tool.parameters) for tool in tools}

    def checked(self, tool: str, given: object) -> dict[str, Any]:
        """The arguments, those that are null left out.

        Raises:
            NotFound: there is no such tool; near names are offered.
            InvalidInput: an argument is unknown, missing, or not exactly of the type and within the bounds stated.
        """
        check = self._checks.get(tool)
        if check is None:
            raise NotFound("tool", tool[:_SHOWN], list(self._checks), listed_by="tools/list")
        if not isinstance(given, Mapping):
            raise InvalidInput(f"{tool}: arguments are a JSON object of name to value.")
        arguments = _without_nulls(cast("Mapping[object, object]", given))
        schema = cast("Mapping[str, Any]", check.schema)
        unknown = _unknown(arguments, schema)
        if unknown:
            raise InvalidInput(f"{tool} {unknown}")
        wrong = best_match(check.iter_errors(cast("Any", arguments)))
        if wrong is not None:
            raise InvalidInput(f"{tool}: {_told(wrong)}")
        _refuse_unmeasurable(tool, arguments)
        return arguments


def _without_nulls(given: Mapping[object, object]) -> dict[str, Any]:
    """Some models send every argument and field; null is the same as none."""
    return {
        str(name): _without_nulls(cast("Mapping[object, object]", value)) if isinstance(value, Mapping) else value
        for name, value in given.items()
        if value is not None
    }


def _unknown(given: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What to say of the first argument (or field) that the schema does not know; empty if it knows all."""
    known = list(schema["properties"])
    unknown = [name for name in given if name not in known]
    if not unknown:
        return ""
    near = get_close_matches(unknown[0], known, n=1, cutoff=0.4)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    return f"has no argument `{unknown[0][:_SHOWN]}`. {hint}Its arguments: {', '.join(known) or 'none'}."


def _refuse_unmeasurable(tool: str, given: object, path: str = "") -> None:
    """No schema can say that a number is finite, and NaN passes any bound."""
    if isinstance(given, Mapping):
        for name, value in cast("Mapping[object, object]", given).items():
            _refuse_unmeasurable(tool, value, f"{path}.{name}" if path else str(name))
    elif isinstance(given, list):
        for value in cast("list[object]", given):
            _refuse_unmeasurable(tool, value, path)
    elif (isinstance(given, float) and not math.isfinite(given)) or (isinstance(given, int) and abs(given) > _MOST_DIGITS):
        raise InvalidInput(f"{tool}: `{path}` is not a finite number of ordinary size.")


def _told(wrong: ValidationError) -> str:
    """Which argument is wrong and what it has to be; of its value no more than is needed to recognise it."""
    where = ".".join(str(part) for part in wrong.absolute_path)
    rule, wanted = str(wrong.validator), wrong.validator_value
    if rule == "required":
        return f"{wrong.message}."
    if rule == "additionalProperties" and isinstance(wrong.instance, Mapping):
        return f"`{where}` {_unknown(cast('Mapping[str, Any]', wrong.instance), cast('Mapping[str, Any]', wrong.schema))}"
    shown = _shown(wrong.instance)
    words = {
        "type": f"has to be of type {wanted}",
        "enum": f"has to be one of {', '.join(map(str, cast('list[object]', wanted)))}" if rule == "enum" else "",
        "pattern": f"has to match {wanted}",
        "maximum": f"has to be at most {wanted}",
        "minimum": f"has to be at least {wanted}",
        "exclusiveMinimum": f"has to be more than {wanted}",
        "exclusiveMaximum": f"has to be less than {wanted}",
        "maxLength": f"may have at most {wanted} characters",
        "minLength": "may not be empty",
        "maxItems": f"may have at most {wanted} entries",
        "maxProperties": f"may have at most {wanted} entries",
    }
    return f"`{where}` {words.get(rule, 'is not as its schema says')}; it is {shown}."


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MOST_DIGITS:
        return "a number of hundreds of digits"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({type(value).__name__})"
