"""Traces of what the agent does, through pydantic-ai's OpenTelemetry instrumentation. Off unless it is asked for."""

from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings


def trace_agents(*, content: bool = False) -> None:
    """Instrument every agent of this process with the configured tracer; what was said is left out unless `content`."""
    Agent.instrument_all(InstrumentationSettings(include_content=content))
