"""The guide to the tools, written from the tools themselves: clients read it as a resource, people in `docs/tools.md`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from server.domain.run import REQUIRES, Stage
from server.tools.offered import Offered

_HEAD = """# The tools

Written from the tools themselves by `python -m server.tools.guide`; a test holds it to them.

Every tool answers with typed, bounded content: long lists come in pages (`limit`, then `cursor`), and say so (`truncated`). A
refusal says what to call next. Unknown arguments and loosely typed values (`"5"`, `true` for a number) are refused. Times are
ISO 8601, UTC where they name no zone. No tool approves a suggestion: a person does.
"""


def guide(tools: Sequence[Offered]) -> str:
    """Every tool in a line, and the order of the walk, as Markdown."""
    return f"{_HEAD}\n## The walk\n\n{_walk()}\n\n## All {len(tools)} tools\n\n{_table(tools)}\n"


def _walk() -> str:
    needs = [f"`{stage.value}`" + (f" needs {_names(REQUIRES[stage])}" if REQUIRES[stage] else "") for stage in Stage]
    return "\n".join(
        [*(f"{number}. {line}" for number, line in enumerate(needs, 1)), "", "`advance_run` does what is missing."]
    )


def _names(stages: Sequence[Stage]) -> str:
    return ", ".join(f"`{stage.value}`" for stage in stages)


def _table(tools: Sequence[Offered]) -> str:
    rows = ["| tool | does | arguments | scope | changes |", "|---|---|---|---|---|", *map(_row, tools)]
    return "\n".join(rows)


def _row(offered: Offered) -> str:
    tool, hints = offered.tool, offered.tool.annotations
    required = tool.parameters.get("required", [])
    arguments = ", ".join(
        f"`{name}`{'' if name in required else '?'}{_fields(about, tool.parameters)}"
        for name, about in tool.parameters["properties"].items()
    )
    changes = "no" if hints and hints.read_only_hint else "yes; ask first" if hints and hints.destructive_hint else "yes"
    return f"| `{tool.name}` | {tool.description.splitlines()[0]} | {arguments or 'none'} | {offered.scope.value} | {changes} |"


def _fields(about: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The fields of an argument that is an object of named ones, in brackets; empty for any other."""
    named = schema.get("$defs", {}).get(str(about.get("$ref", "")).rpartition("/")[2], {})
    names = ", ".join(f"`{name}`?" for name in named.get("properties", {}))
    return f" ({names})" if names else ""


if __name__ == "__main__":
    from server.app import App
    from server.settings import Settings
    from server.tools.desk import Desk
    from server.tools.server import offered_tools

    sys.stdout.write(guide(offered_tools(Desk(App(Settings())))))
