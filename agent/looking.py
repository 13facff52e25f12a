"""Direct looks at the server's tools, beside any model: what an evaluation's cases are made of and measured against."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from agent.conversation import Conversation
from agent.offline.thread import turns_of

_OPEN = re.compile(r"\{([a-z_]+)((?:\.\w+)+)\}")


class NothingThere(Exception):
    """A tool's answer has nothing at that place; the message names the place."""


@dataclass
class Looks:
    """Answers of reading tools without arguments. `kept` are those that placeholders were filled from."""

    conversation: Conversation
    kept: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    async def at(self, tool: str, args: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """What the tool answers now. Raises `NothingThere` with the server's words where it refuses."""

        def call_it(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
            done = turns_of(messages)[-1].made
            return ModelResponse(parts=[TextPart("seen") if done else ToolCallPart(tool, dict(args or {}))])

        aside = Conversation(self.conversation.agent, self.conversation.asking, self.conversation.settings)
        with aside.agent.override(model=FunctionModel(call_it, model_name="look")):
            seen = (await aside.ask(tool)).calls[-1]
        if seen.refusal and args is not None:
            raise NothingThere(seen.refusal)
        return seen.payload

    async def filled(self, words: str) -> str:
        """The words with `{tool.field.0.field}` replaced by what the tool answers. Raises `NothingThere`."""
        for tool in dict.fromkeys(found[1] for found in _OPEN.finditer(words)):
            if tool not in self.kept:
                self.kept[tool] = await self.at(tool)
        return _OPEN.sub(lambda found: _shown(self.kept[found[1]], found[1], found[2][1:].split(".")), words)


def _shown(answer: Any, tool: str, path: Sequence[str]) -> str:
    for part in path:
        if isinstance(answer, Mapping) and part in answer:
            answer = answer[part]
        elif isinstance(answer, list) and part.isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            raise NothingThere(f"{tool} answers nothing at {'.'.join(path)}")
    return f"{answer:,}" if isinstance(answer, int) and not isinstance(answer, bool) else str(answer)
