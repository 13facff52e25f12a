"""The offline model as pydantic-ai sees it: a model that plans with the planner and speaks with the templates."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from agent.narration.answers import answer
from agent.narration.trust import STALE_HOURS
from agent.narration.words import Reader
from agent.offline.planner import next_move
from agent.offline.steps import Ask, Call
from agent.offline.thread import Turn, turns_of

NAME = "offline"
_CLOCK = re.compile(r"It is (\S+) \(([\w/+-]+)\)")


def offline_model() -> FunctionModel:
    """The model; deterministic, without network or download."""
    return FunctionModel(_respond, stream_function=_stream, model_name=NAME)


async def _respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    # the classifier is trained at first use: half a second that must not hold up other conversations
    return await asyncio.to_thread(respond, messages, info.instructions or "")


def respond(messages: list[ModelMessage], instructions: str) -> ModelResponse:
    """The next call, or the answer. The instructions state the time and its zone."""
    turns = turns_of(messages)
    now = clock(instructions)
    move = next_move(turns, _anchor(turns, now))
    if isinstance(move, Call):
        return ModelResponse(parts=[ToolCallPart(move.tool, move.args)])
    text = move.words if isinstance(move, Ask) else answer(move, Reader(now.tzinfo or UTC, now))
    return ModelResponse(parts=[TextPart(text)])


def clock(instructions: str) -> datetime:
    """The time that the instructions state, in its zone; else the system's, in UTC."""
    found = _CLOCK.search(instructions)
    if found is None:
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(found[1]).astimezone(ZoneInfo(found[2]))
    except (ValueError, ZoneInfoNotFoundError):
        return datetime.now(UTC)


def _anchor(turns: list[Turn], now: datetime) -> datetime:
    """What time words are relative to: now, or the end of telemetry that ended long ago."""
    for turn in reversed(turns):
        last = (turn.payload("check_data_health").get("health") or {}).get("last")
        if last:
            end = datetime.fromisoformat(last).astimezone(now.tzinfo)
            return end if (now - end).total_seconds() > STALE_HOURS * 3600 else now
    return now


async def _stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    for piece in streamed(await _respond(messages, info)):
        yield piece


def streamed(reply: ModelResponse) -> Iterator[str | DeltaToolCalls]:
    """A whole reply in pieces, word by word."""
    for place, part in enumerate(reply.parts):
        if isinstance(part, ToolCallPart):
            yield {place: DeltaToolCall(name=part.tool_name, json_args=part.args_as_json_str(), tool_call_id=part.tool_call_id)}
        elif isinstance(part, TextPart):
            yield from re.findall(r"\s*\S+\s*", part.content)
