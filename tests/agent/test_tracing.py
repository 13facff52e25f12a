"""Traces: none unless asked for, and then without what was said."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent

from agent import tracing

pytestmark = pytest.mark.anyio
QUESTION = "Why was D-1042 flagged?"


class Spans(InMemorySpanExporter):
    """What agents of this process trace."""

    def __init__(self) -> None:
        super().__init__()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self))

    def text(self) -> str:
        return "\n".join(f"{span.name} {dict(span.attributes or {})}" for span in self.get_finished_spans())


@pytest.fixture
def spans(monkeypatch):
    """An exporter that OpenTelemetry is configured with; instrumentation is off again afterwards."""
    exporter = Spans()
    monkeypatch.setattr("pydantic_ai.models.instrumented.get_tracer_provider", lambda: exporter.provider, raising=False)
    yield exporter
    Agent.instrument_all(False)


async def asked(state, talk):
    async with talk(state) as conversation:
        return await conversation.ask(QUESTION)


async def test_nothing_is_traced_unless_it_is_asked_for(spans, state, talk):
    """Off by default."""
    await asked(state, talk)
    assert "invoke_agent" not in spans.text()


async def test_traces_have_the_calls_and_not_what_was_said(spans, state, talk):
    """The tools' names are there; question, arguments and answers are not."""
    tracing.trace_agents(provider=spans.provider)
    reply = await asked(state, talk)
    assert "invoke_agent" in spans.text()
    assert "explain_anomaly" in spans.text()
    assert "D-1042" not in spans.text()
    assert reply.text[:40] not in spans.text()


async def test_content_is_kept_where_that_is_asked_for(spans, state, talk):
    """The question stands in the trace then: the test above looks in the right place."""
    tracing.trace_agents(content=True, provider=spans.provider)
    await asked(state, talk)
    assert QUESTION in spans.text()
