"""Puts cards and charts on the screen of the person who is talking."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import plotly.graph_objects as go
from chainlit import CustomElement, Message, Plotly

from chat_ui.cards.sheet import sheet_props

AUTHOR = "Anomalyst"
GOOD, WARNING, STOP = "an-good", "an-warning", "an-stop"


def now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def card(name: str, props: dict[str, Any]) -> CustomElement:
    """A card that `public/elements` draws; `drawn` tells it a new one from one of a resumed thread."""
    return CustomElement(name=name, props={**props, "drawn": int(now().timestamp() * 1000)}, display="inline")


def charts(*figures: go.Figure) -> list[Plotly]:
    """Charts as elements of a message."""
    return [Plotly(name=f"chart {place}", figure=each, display="inline", size="large") for place, each in enumerate(figures, 1)]


async def show(*elements: Any, words: str = "", among: dict[str, Message] | None = None) -> Message:
    """A message with these cards and charts; it stands by itself, whatever run it is sent in."""
    message = Message(content=words, author=AUTHOR)
    if among is not None:  # before it is sent: whoever breaks this off can still take it away
        among[message.id] = message
    await message.send()
    await add(message, *elements)
    return message


async def add(message: Message, *elements: Any) -> None:
    """More cards and charts for a message that is on the screen."""
    for element in elements:
        # one after another: sent together they would stand in whatever order they arrive
        await element.send(for_id=message.id)
    message.elements = [*(message.elements or ()), *elements]


async def say(
    tone: str,
    text: str,
    *buttons: dict[str, Any],
    form: dict[str, Any] | None = None,
    among: dict[str, Message] | None = None,
) -> Message:
    """A line in a tone, with buttons below it."""
    return await show(card("Said", {"tone": tone, "text": text, "buttons": list(buttons), "form": form}), among=among)


def button(words: str, action: str, *, main: bool = False, **payload: Any) -> dict[str, Any]:
    """A button that calls an action with that payload."""
    return {"words": words, "action": action, "payload": payload, "main": main}


async def sheet(title: str, note: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> Message:
    """A table that sorts, pages and downloads."""
    return await show(card("Sheet", sheet_props(title, note, columns, rows, name)))


async def remove(messages: Iterable[Message], among: dict[str, Message]) -> None:
    """Take the messages off the screen."""
    for message in messages:
        await message.remove()
        among.pop(message.id, None)
