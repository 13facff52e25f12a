"""A small model beside 37 tools: it is offered the likeliest few, and shown the beginnings of long answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelRequestPart, ModelResponse, ToolReturnPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings, merge_model_settings

from agent.narration.answers import TEMPLATES
from agent.offline.model import clock
from agent.offline.thread import STAGES, Turn, turns_of
from agent.offline.wishes import likeliest, needs_tools, wish_of
from agent.slim import named_arguments, slim
from agent.vetting import ASKED_BY

OFFERED = 3
"""Tools that a question is offered, unless its wish has more of its own."""
_ROWS, _LETTERS, _DIGITS = 5, 300, 4
_WRITTEN = 300
"""Tokens of a reply, at most: a small model left to itself goes on for thousands of words, and the next question waits."""
_BESIDE: Mapping[str, tuple[str, ...]] = {
    "baseline_detail": ("list_baselines",),
    "update_effect": ("query_telemetry",),
    "fix": ("preview_suggestion",),
    "tune": ("preview_suggestion",),
    "manager_note": ("list_incidents",),
    "stage": ("advance_run", *STAGES[1:]),
    "ingest": ("ingest_telemetry", "advance_run"),
    "runs": ("list_runs", "get_run"),
    "cancel": ("cancel_run",),
}
"""Tools of a wish beside the one that its answer is made of."""


class SmallModel(WrapperModel):
    """A model that reads little at a time. The schemas of all tools are 9,000 tokens: more than some models can hold."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Its reply to the shortened conversation, with the likeliest tools at hand."""
        turns, now = turns_of(messages), clock(_instructions(messages))
        names, named = likely_tools(turns, now), named_arguments(turns, now)
        tools = {tool.name: tool for tool in model_request_parameters.function_tools}
        offered = [
            replace(
                tools[name],
                description=(tools[name].description or "").partition("\n")[0],
                parameters_json_schema=slim(tools[name].parameters_json_schema, named),
            )
            for name in names
            if name in tools
        ]
        # left the choice, small models write an answer that no tool gave: what a tool must answer begins with a call
        call_first = bool(offered) and not turns[-1].made and needs_tools(turns, now)
        fewer = replace(
            model_request_parameters,
            function_tools=offered,
            allow_text_output=model_request_parameters.allow_text_output and not call_first,
        )
        return await self.wrapped.request(shortened(messages), _brief(model_settings), fewer)


def _brief(settings: ModelSettings | None) -> ModelSettings | None:
    allowed = (settings or {}).get("max_tokens", _WRITTEN)
    return merge_model_settings(settings, ModelSettings(max_tokens=min(allowed, _WRITTEN)))


def _instructions(messages: Sequence[ModelMessage]) -> str:
    return next((each.instructions or "" for each in reversed(messages) if isinstance(each, ModelRequest)), "")


def likely_tools(turns: Sequence[Turn], now: datetime) -> tuple[str, ...]:
    """Names of the tools that the last question probably needs, the likeliest first; those that an answer named come on top.

    A changing tool is among them only where the person asked for it: another call of it would not be let through.
    """
    asked, wishes = wish_of(turns, now).intent, likeliest(turns, now)
    by_wish = dict.fromkeys(name for wish in wishes for name in _tools_of(wish))
    likely = [name for name in by_wish if asked in ASKED_BY.get(name, (asked,))]
    named = [made.payload.get("next_tool") for made in turns[-1].made if made.payload]
    named += [tool for made in turns[-1].made for tool in STAGES if f"Call {tool} next" in made.refusal]
    return tuple(dict.fromkeys(filter(None, (*named, *likely[: max(OFFERED, len(_tools_of(asked)))]))))


def _tools_of(wish: str) -> tuple[str, ...]:
    return (*filter(None, TEMPLATES.get(wish, ("",))[:1]), *_BESIDE.get(wish, ()))


def shortened(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The messages with tools' answers cut to a few rows and digits, those to earlier questions to what they say of themselves.

    What a model says is checked against the whole.
    """
    begun = max((place for place, each in enumerate(messages) if _asks(each)), default=0)
    return [
        replace(each, parts=[_short_part(part, earlier=place < begun) for part in each.parts])
        if isinstance(each, ModelRequest)
        else each
        for place, each in enumerate(messages)
    ]


def _asks(message: ModelMessage) -> bool:
    return any(isinstance(part, UserPromptPart) for part in message.parts)


def _short_part(part: ModelRequestPart, *, earlier: bool) -> ModelRequestPart:
    if not isinstance(part, ToolReturnPart):
        return part
    short = _short(part.content)
    if earlier and isinstance(short, dict):
        short = {name: value for name, value in short.items() if isinstance(value, str)}
    return replace(part, content=short)


def _short(entry: Any) -> Any:
    if isinstance(entry, Mapping):
        return {name: _short(value) for name, value in entry.items() if value not in (None, "", [], {})}
    if isinstance(entry, str):
        return entry[:_LETTERS]
    if isinstance(entry, Sequence):
        return [_short(each) for each in entry[:_ROWS]]
    return float(f"{entry:.{_DIGITS}g}") if isinstance(entry, float) else entry
