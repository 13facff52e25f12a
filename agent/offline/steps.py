"""What a plan is made of: calls to make, one after another, and questions to ask back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.offline.thread import Focus, Turn
from agent.offline.wishes import Wish


@dataclass(frozen=True)
class Call:
    """A tool to call with these arguments."""

    tool: str
    args: dict[str, Any]
    optional: bool = False
    """Whether the answer can do without it, should it be refused."""


@dataclass(frozen=True)
class Ask:
    """A question back: something that is needed is not known."""

    words: str


@dataclass(frozen=True)
class Situation:
    """What a plan may look at."""

    wish: Wish
    focus: Focus
    turn: Turn
    now: datetime


Step = Callable[[Situation], "Call | Ask | None"]
"""The call to make at this place of the plan; None if it is not needed."""
Plan = Sequence[Step]


def call(tool: str, **args: Any) -> Call:
    """A call without the arguments that are not set."""
    return Call(tool, {name: value for name, value in args.items() if value is not None and value != ""})


def times(wish: Wish) -> dict[str, str | None]:
    """The wish's time range as arguments `since` and `until`."""
    window = wish.window
    return {
        "since": window.since.isoformat() if window and window.since else None,
        "until": window.latest.isoformat() if window and window.latest else None,
    }


def pointed(situation: Situation, kind: str) -> str | None:
    """The id of this kind that the question names, or points to by its place in the list shown last."""
    named: str | None = getattr(situation.wish.names, kind)
    place, listed = situation.wish.names.ordinal, situation.focus.listed
    if named or not place or place > len(listed) or listed[place - 1][0] != kind:
        return named
    return listed[place - 1][1]


def incident_of(situation: Situation, *, first_listed: bool = True) -> str | None:
    """The incident that is meant: named, pointed to, spoken of, or the first of those listed."""
    found = pointed(situation, "incident") or situation.focus.incident
    listed = [name for kind, name in situation.focus.listed if kind == "incident"]
    return found or (listed[0] if first_listed and listed and situation.focus.subject == "list" else None)
