"""A small model beside 37 tools: it is offered the likeliest few, and shown the beginnings of long answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelRequestPart, ModelResponse, ToolReturnPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from agent.narration.answers import TEMPLATES
from agent.offline.thread import STAGES, Turn, turns_of
from agent.offline.wishes import likeliest, needs_tools

OFFERED = 4
"""Tools that a question is offered."""
_ROWS, _LETTERS, _DIGITS = 5, 300, 4
_STRICT = frozenset({"pattern", "maxLength", "minLength", "title", "default"})
_FILLED_IN = frozenset({"fleet", "cursor"})
"""Arguments that may be left out, and that small models make up instead."""
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
        turns = turns_of(messages)
        names = likely_tools(turns)
        offered = [
            replace(
                tool,
                description=(tool.description or "").partition("\n")[0],
                parameters_json_schema=_loose(tool.parameters_json_schema),
            )
            for tool in model_request_parameters.function_tools
            if tool.name in names
        ]
        # left the choice, small models write an answer that no tool gave: what a tool must answer begins with a call
        call_first = bool(offered) and not turns[-1].made and needs_tools(turns, datetime.now(UTC))
        fewer = replace(
            model_request_parameters,
            function_tools=offered,
            allow_text_output=model_request_parameters.allow_text_output and not call_first,
        )
        return await self.wrapped.request(shortened(messages), model_settings, fewer)


def likely_tools(turns: Sequence[Turn]) -> tuple[str, ...]:
    """Names of the tools that the last question probably needs, the likeliest first; those that an answer named come on top."""
    wishes = likeliest(turns, datetime.now(UTC))
    by_wish = (name for wish in wishes for name in (TEMPLATES.get(wish, ("",))[0], *_BESIDE.get(wish, ())))
    named = [made.payload.get("next_tool") for made in turns[-1].made if made.payload]
    named += [tool for made in turns[-1].made for tool in STAGES if f"Call {tool} next" in made.refusal]
    return tuple(dict.fromkeys(filter(None, (*named, *list(dict.fromkeys(filter(None, by_wish)))[:OFFERED]))))


def _loose(schema: Any) -> Any:
    """The schema without lengths and patterns: a grammar made of them takes minutes a reply, and the server checks them."""
    if isinstance(schema, Mapping):
        return {name: _loose(value) for name, value in schema.items() if not _left_out(name, value)}
    return [_loose(each) for each in schema] if isinstance(schema, list) else schema


def _left_out(name: str, value: Any) -> bool:
    return name in _FILLED_IN if isinstance(value, Mapping) else name in _STRICT


def shortened(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The messages with tools' answers cut to a few rows and digits; what is said of them is checked against the whole."""
    return [
        replace(message, parts=[_short_part(part) for part in message.parts]) if isinstance(message, ModelRequest) else message
        for message in messages
    ]


def _short_part(part: ModelRequestPart) -> ModelRequestPart:
    return replace(part, content=_short(part.content)) if isinstance(part, ToolReturnPart) else part


def _short(entry: Any) -> Any:
    if isinstance(entry, Mapping):
        return {name: _short(value) for name, value in entry.items() if value not in (None, "", [], {})}
    if isinstance(entry, str):
        return entry[:_LETTERS]
    if isinstance(entry, Sequence):
        return [_short(each) for each in entry[:_ROWS]]
    return float(f"{entry:.{_DIGITS}g}") if isinstance(entry, float) else entry
