"""Which model answers: one setting, and behind it always the offline model."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

import anyio
import httpx2
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.function import AgentInfo, DeltaToolCalls, FunctionModel
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.providers.ollama import OllamaProvider

from agent.offline.model import NAME, offline_model, respond, streamed
from agent.settings import AgentSettings
from agent.vetting import objection

_FAILURES = (AgentRunError, OSError, TimeoutError, ValueError, httpx2.HTTPError)


class UnknownModel(Exception):
    """The setting names no model that can be made; the message says what can be written."""


def model_for(settings: AgentSettings, http: httpx2.AsyncClient | None = None) -> Model:
    """The model of the setting `model`, with the offline model behind it. `http` replaces the transport to Ollama.

    Raises:
        UnknownModel: a name of the setting is none that pydantic-ai knows, or its key is missing.
    """
    names = [name.strip() for name in settings.model.split(",") if name.strip() not in ("", NAME)]
    return chain([_named(name, settings, http) for name in names], settings.model_timeout)


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
        self.objections: list[str] = []
        """Why replies were not used, oldest first."""
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
        for model in self._models:
            try:
                with anyio.fail_after(self._timeout):
                    reply = await model.request(messages, info.model_settings, info.model_request_parameters)
            except _FAILURES as error:
                self.objections.append(f"{model.model_name}: {type(error).__name__}: {error}")
                continue
            why = objection(reply, messages, info)
            if not why:
                return ModelResponse(
                    parts=[part for part in reply.parts if isinstance(part, TextPart | ToolCallPart)], usage=reply.usage
                )
            self.objections.append(f"{model.model_name}: {why}")
        return await anyio.to_thread.run_sync(respond, messages, info.instructions or "")

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        for piece in streamed(await self._reply(messages, info)):
            yield piece


def _named(name: str, settings: AgentSettings, http: httpx2.AsyncClient | None) -> Model:
    try:
        if name.startswith("ollama:"):
            provider = OllamaProvider(base_url=settings.ollama_url, http_client=http)
            return OllamaModel(name.removeprefix("ollama:"), provider=provider)
        return infer_model(name)
    except (UserError, ValueError, ImportError) as error:
        raise UnknownModel(f"ANOMALYST_MODEL={name!r}: {error} Write offline, ollama:NAME or PROVIDER:NAME.") from error
