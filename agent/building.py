"""The agent, put together."""

from typing import Any

from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import UsageLimits

from agent.asking import Asking
from agent.connecting import tools_of
from agent.instructions import TEXT, told
from agent.models import model_for
from agent.settings import AgentSettings

Analyst = Agent[Asking, str | DeferredToolRequests]


def build_agent(
    settings: AgentSettings | None = None,
    model: Model | None = None,
    *,
    server: Any = None,
    toolset: AbstractToolset[Asking] | None = None,
) -> Analyst:
    """The agent over the server's tools. Its output is the answer, or the calls that wait for a person's approval.

    `model` replaces the one of the settings. `server` is an MCP server in this process; `toolset` replaces the connection.
    """
    chosen = settings or AgentSettings()
    return Agent(
        model or model_for(chosen),
        deps_type=Asking,
        output_type=[str, DeferredToolRequests],
        instructions=[TEXT, told],
        toolsets=[toolset or tools_of(chosen, server)],
        name="anomalyst",
        retries=1,
    )


def limits_of(settings: AgentSettings) -> UsageLimits:
    """What one question may cost."""
    return UsageLimits(request_limit=settings.requests_a_question, tool_calls_limit=settings.calls_a_question)
