"""Free text: put to the agent, its calls shown as steps, its words as they come."""

import asyncio
from collections.abc import AsyncIterable, Mapping
from time import monotonic
from typing import Any

import chainlit as cl
from pydantic_ai import RunContext
from pydantic_ai.messages import (
    AgentStreamEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolReturnPart,
)

from agent.asking import Asking
from chat_ui.desk import Desk, Talk, learn_words
from chat_ui.pictures import draw
from chat_ui.screen import AUTHOR, now
from chat_ui.words import foreign, quiet

_MOST_ANSWER = 1500
_PIECES_APART = 0.1
"""Seconds. A browser draws the whole message anew for each piece: hundreds at once would keep it busy for seconds."""


async def answer(desk: Desk, talk: Talk, question: str) -> None:
    """Ask the agent, show its work and its words, draw what they speak of, and keep the thread."""
    await asyncio.to_thread(learn_words)
    shown = _Shown()
    reply = await talk.conversation.ask(question, shown.follow)
    if reply.trouble:
        shown.words = f"The model did not finish ({foreign(reply.trouble, 160)}); this is the offline answer."
        await cl.Message(content=quiet(shown.words), author=AUTHOR).send()
    if shown.message is None or shown.told != reply.text:
        await shown.tell_whole(reply.text)
    else:
        await shown.message.update()
    for call in reply.waiting:
        await cl.Message(content=quiet(f"`{call.tool_name}` was not called: no person approved it."), author=AUTHOR).send()
    desk.histories.write(cl.context.session.thread_id, talk.conversation.saved())
    await draw(desk, talk, reply.calls)


class _Shown:
    """One answer as it comes about."""

    def __init__(self) -> None:
        self.message: cl.Message | None = None
        self.told = self.words = ""
        self._held, self._sent = "", float("-inf")
        self._steps: dict[str, cl.Step] = {}

    async def follow(self, _: RunContext[Asking], events: AsyncIterable[AgentStreamEvent]) -> None:
        """Show the events of one reply of the model, and of the calls that it makes."""
        async for event in events:
            if isinstance(event, FunctionToolCallEvent):
                await self._begin(event.part)
            elif isinstance(event, FunctionToolResultEvent):
                await self._end(event.part)
            elif isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                await self._stream(event.part.content)
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                await self._stream(event.delta.content_delta)
        await self._send()

    async def tell_whole(self, text: str) -> None:
        """Show the answer where it was not streamed, or not as it ended."""
        if self.message is None:
            await cl.Message(content=quiet(text), author=AUTHOR).send()
            return
        self.message.content = quiet(text)
        await self.message.update()

    async def _begin(self, call: ToolCallPart) -> None:
        run = cl.context.current_run
        step = cl.Step(name=call.tool_name, type="tool", parent_id=run.id if run else None, show_input="json")
        step.input = {name: foreign(value, 300) for name, value in call.args_as_dict().items()}
        await step.send()
        self._steps[call.tool_call_id] = step

    async def _end(self, part: ToolReturnPart) -> None:
        step = self._steps.pop(part.tool_call_id, None)
        if step is None:
            return
        step.is_error = part.outcome != "success"
        step.output = quiet(outcome(part.content, refused=step.is_error))
        await step.update()

    async def _stream(self, piece: str) -> None:
        self.told += piece
        self._held += piece
        if monotonic() - self._sent >= _PIECES_APART:
            await self._send()

    async def _send(self) -> None:
        """Show what came since the last time."""
        if not self._held:
            return
        if self.message is None:
            # a message that is streamed without having been sent has no time, and a resumed thread leaves it out
            self.message = cl.Message(content="", author=AUTHOR, created_at=f"{now():%Y-%m-%dT%H:%M:%S.%f}Z")
        held, self._held = self._held, ""
        await self.message.stream_token(quiet(held))
        self._sent = monotonic()


def outcome(content: Any, *, refused: bool) -> str:
    """What came of a call, in plain words."""
    if refused:
        return f"Refused: {foreign(content, _MOST_ANSWER)}"
    summary = content.get("summary") if isinstance(content, Mapping) else None
    return foreign(summary or content, _MOST_ANSWER)
