"""Which model answers: one setting, and behind it always the offline model."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Self

import anyio
import httpx2
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.function import AgentInfo, DeltaToolCalls, FunctionModel
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.settings import ModelSettings

from agent.offline.model import NAME, offline_model, respond, streamed
from agent.settings import AgentSettings
from agent.small import SmallModel
from agent.vetting import objection

_MODEST = ModelSettings(max_tokens=1500, temperature=0.0)
_FAILURES = (AgentRunError, OSError, TimeoutError, ValueError, httpx2.HTTPError)


_UNAIDED = "offline-"
_KEPT = 1000


@dataclass(frozen=True)
class Vetted:
    """A language model's reply, None if there was none, and why it was not used; empty if it was."""

    model: str
    reply: ModelResponse | None
    why: str
    seconds: float = 0.0
    """How long it was waited for."""


class UnknownModel(Exception):
    """The setting names no model that can be made; the message says what can be written."""


def model_for(settings: AgentSettings, http: httpx2.AsyncClient | None = None) -> Model:
    """The model of the setting `model`, with the offline model behind it. `http` replaces the transport to Ollama.

    Raises:
        UnknownModel: a name of the setting is none that pydantic-ai knows, or its key is missing.
    """
    return chain(language_models(settings, http), settings.model_timeout)


def language_models(settings: AgentSettings, http: httpx2.AsyncClient | None = None) -> list[Model]:
    """The language models of the setting `model`, with nothing behind them. Raises `UnknownModel`."""
    names = [name.strip() for name in settings.model.split(",") if name.strip() not in ("", NAME)]
    found = [_named(name, settings, http) for name in names]
    return [SmallModel(each) for each in found] if settings.small_model else found


def chain(models: Sequence[Model], timeout: float) -> Model:
    """The models in turn, each for at most `timeout` seconds a reply; the offline model replies where none did usably."""
    return Chain(models, timeout) if models else offline_model()


class Chain(FunctionModel):
    """Language models whose every reply is vetted before anyone sees it: a bad one costs only prose.

    A reply is streamed only after it is whole, because a number is checked against the sentence that it stands in.
    """

    def __init__(self, models: Sequence[Model], timeout: float) -> None:
        self._models, self._timeout = models, timeout
        self._open = AsyncExitStack()
        self.vetted: deque[Vetted] = deque(maxlen=_KEPT)
        """What the models replied, and what was held against it, oldest first."""
        name = ",".join((*(model.model_name for model in models), NAME))
        super().__init__(self._reply, stream_function=self._stream, model_name=name)

    async def __aenter__(self) -> Self:
        """Open the models' connections."""
        for model in self._models:
            await self._open.enter_async_context(model)
        return self

    async def __aexit__(self, *raised: Any) -> None:
        """Close them."""
        await self._open.aclose()

    async def _reply(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        for model in self._models if not _given_up(messages) else ():
            begun = perf_counter()
            try:
                with anyio.fail_after(self._timeout):
                    reply = await model.request(messages, info.model_settings, info.model_request_parameters)
            except _FAILURES as error:
                why = f"{type(error).__name__}: {error}"
                self.vetted.append(Vetted(model.model_name, None, why, perf_counter() - begun))
                continue
            why = objection(reply, messages, info)
            self.vetted.append(Vetted(model.model_name, reply, why, perf_counter() - begun))
            if not why:
                return ModelResponse(
                    parts=[part for part in reply.parts if isinstance(part, TextPart | ToolCallPart)], usage=reply.usage
                )
        return _marked(await anyio.to_thread.run_sync(respond, messages, info.instructions or ""))

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        for piece in streamed(await self._reply(messages, info)):
            yield piece


def _given_up(messages: Sequence[ModelMessage]) -> bool:
    """Whether no model replied usably earlier in this question: waiting for them once is enough."""
    for message in reversed(messages):
        if any(isinstance(part, UserPromptPart) for part in message.parts):
            return False
        if any(isinstance(part, ToolCallPart) and part.tool_call_id.startswith(_UNAIDED) for part in message.parts):
            return True
    return False


def _marked(reply: ModelResponse) -> ModelResponse:
    """The offline model's reply, known as its own later on."""
    parts = [
        replace(part, tool_call_id=f"{_UNAIDED}{part.tool_call_id}") if isinstance(part, ToolCallPart) else part
        for part in reply.parts
    ]
    return ModelResponse(parts=parts)


def _named(name: str, settings: AgentSettings, http: httpx2.AsyncClient | None) -> Model:
    try:
        if name.startswith("ollama:"):
            provider = OllamaProvider(base_url=settings.ollama_url, http_client=http)
            # a small model left to itself goes on for thousands of words
            return OllamaModel(name.removeprefix("ollama:"), provider=provider, settings=_MODEST)
        return infer_model(name)
    except (UserError, ValueError, ImportError) as error:
        raise UnknownModel(f"ANOMALYST_MODEL={name!r}: {error} Write offline, ollama:NAME or PROVIDER:NAME.") from error
