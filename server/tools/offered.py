"""What a tool is offered as: its scope, its honest annotations, and a schema that says exactly which arguments there are."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations

from server.domain.identity import Scope
from server.tools.errors import for_tools, translated
from server.tools.kept import RestsOn


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool, the scope that a caller needs for it, and what its answers are read from; None if they are never kept."""

    tool: Tool
    scope: Scope
    rests_on: RestsOn | None = None


def reading(function: Callable[..., Any], title: str, rests_on: RestsOn | None = RestsOn.STORES) -> Offered:
    """A tool that only reads. None for one that reads more than `RestsOn` knows of, such as the memory of decisions."""
    hints = ToolAnnotations(
        title=title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    return Offered(_tool(function, title, hints), Scope.READ, rests_on)


def changing(function: Callable[..., Any], title: str, scope: Scope, *, repeatable: bool, destructive: bool = False) -> Offered:
    """A tool that changes something. `repeatable`: the same call again changes nothing more."""
    hints = ToolAnnotations(
        title=title, read_only_hint=False, destructive_hint=destructive, idempotent_hint=repeatable, open_world_hint=False
    )
    return Offered(_tool(function, title, hints), scope)


def _tool(function: Callable[..., Any], title: str, hints: ToolAnnotations) -> Tool:
    about = inspect.getdoc(function)
    tool = Tool.from_function(
        translated(function, for_tools), title=title, description=about, annotations=hints, structured_output=True
    )
    tool.parameters = untitled(exact(tool.parameters))
    tool.fn_metadata.output_schema = untitled(tool.fn_metadata.output_schema or {})
    return tool


def exact(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with no argument beside those named, and an optional one of its own type, to be left out rather than null.

    The same holds for the fields of an argument that is an object.
    """
    properties = {name: _own_type(each) for name, each in schema.get("properties", {}).items()}
    named = {name: exact(each) if "properties" in each else each for name, each in schema.get("$defs", {}).items()}
    return {**schema, **({"$defs": named} if named else {}), "properties": properties, "additionalProperties": False}


def untitled(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without the titles that only repeat a field's name: a quarter of what a client has to take in."""
    return {name: _untitled(value) for name, value in schema.items() if not (name == "title" and isinstance(value, str))}


def _untitled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return untitled(cast("Mapping[str, Any]", value))
    return [_untitled(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def _own_type(about: Mapping[str, Any]) -> dict[str, Any]:
    kinds = cast("list[dict[str, Any]]", about.get("anyOf", []))
    own = [kind for kind in kinds if kind.get("type") != "null"]
    if len(own) != 1 or len(own) == len(kinds):
        return dict(about)
    rest = {key: value for key, value in about.items() if key != "anyOf" and not (key == "default" and value is None)}
    return {**own[0], **rest}
