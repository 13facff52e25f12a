"""Traces of what the agent does, through pydantic-ai's OpenTelemetry instrumentation. Off unless it is asked for."""

from opentelemetry.trace import TracerProvider
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings


def trace_agents(*, content: bool = False, provider: TracerProvider | None = None) -> None:
    """Instrument every agent of this process; what was said is left out unless `content`.

    `provider` is where spans go; left out, the one that OpenTelemetry is configured with.
    """
    Agent.instrument_all(InstrumentationSettings(include_content=content, tracer_provider=provider))
