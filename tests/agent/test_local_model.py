"""A real language model, if one is served here: it connects, streams, explains under a schema, and is caught inventing."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import canned
import httpx2
import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.providers.ollama import OllamaProvider

from agent.explanations import Audience, explain
from agent.grounding import check, facts_of, supported
from agent.models import chain
from agent.narration.words import Reader
from agent.small import SmallModel

pytestmark = pytest.mark.anyio
URL = os.environ.get("ANOMALYST_LOCAL_MODEL_URL", "")
SECONDS = 10
"""For one reply: a small model reads the schemas of all tools slowly, and what it does not answer the offline model does."""
NAME = os.environ.get("ANOMALYST_LOCAL_MODEL", "smollm2-135m")


class Told(BaseModel):
    """What a small model is let say: a grammar keeps it to these fields."""

    sentence: str = Field(max_length=160)


@pytest.fixture
async def model() -> AsyncIterator[OllamaModel]:
    """The served model; skips, with the reason, where there is none."""
    if not URL:
        pytest.skip("ANOMALYST_LOCAL_MODEL_URL is not set: no local model to talk with")
    async with httpx2.AsyncClient(timeout=120) as http:
        try:
            await http.get(f"{URL}/models")
        except httpx2.TransportError as error:
            pytest.skip(f"no local model answers at {URL}: {error}")
        # without an end a small model goes on for thousands of words, and the next request waits for it
        yield OllamaModel(NAME, provider=OllamaProvider(base_url=URL, http_client=http), settings={"max_tokens": 400})


async def test_it_streams(model):
    """Through the streaming interface, in however many pieces the server sends."""
    pieces = []
    async with Agent(model).run_stream(
        "Say in one short sentence what a battery is.", model_settings={"max_tokens": 40}
    ) as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces).strip()


async def test_what_it_explains_under_a_schema_is_let_through_only_as_far_as_it_holds(model):
    """Its sentence is of the schema's shape; each claim in it that was not measured is found and dropped."""
    payload = canned.explanation()
    facts = facts_of([payload], ZoneInfo("Europe/Berlin"))
    prompt = f"Explain in one sentence, with numbers, why {payload['device']} is anomalous: {payload['text']}"
    told = await Agent(model, output_type=NativeOutput(Told)).run(prompt, model_settings={"temperature": 0.9})
    assert check(supported(told.output.sentence, facts), facts) == ()


async def test_it_explains_with_blanks_that_code_fills(model, tmp_path):
    """Under the schema of a draft; whether its own sentences hold or the template tells it, every claim does."""
    payload, reader = canned.explanation(), Reader(ZoneInfo("Europe/Berlin"), datetime(2026, 3, 12, tzinfo=UTC))
    done = await explain(payload, Audience.OPERATOR, reader, folder=tmp_path, models=[model], timeout=120)
    assert done.text
    assert check(done.text, facts_of([payload], reader.zone)) == ()


async def test_what_it_invents_is_caught(model):
    """Asked for numbers that nothing measured, it writes some, and the validator lets none through."""
    prompt = (
        "Write one sentence that states the battery drain in percent and the Wi-Fi signal in dBm of device D-7777, with digits."
    )
    told = await Agent(model, output_type=NativeOutput(Told)).run(prompt, model_settings={"temperature": 0.0})
    facts = facts_of([canned.explanation()], ZoneInfo("Europe/Berlin"))
    assert any(character.isdigit() for character in told.output.sentence)
    assert check(told.output.sentence, facts) != ()
    assert not any(character.isdigit() for character in supported(told.output.sentence, facts))


async def test_behind_it_the_offline_model_answers_with_what_was_measured(model, state, talk):
    """In a conversation nothing is stored, and every number of the answer holds, whether or not it answered in time."""
    behind = chain([SmallModel(model)], SECONDS)
    async with talk(state, model=behind) as conversation:
        reply = await conversation.ask("Why was D-1042 flagged?")
    said = "\n".join(("Why was D-1042 flagged?", *(f"{made.args} {made.refusal}" for made in reply.calls)))
    assert check(reply.text, facts_of((made.payload for made in reply.calls), ZoneInfo("Europe/Berlin"), said)) == ()
    assert not state.recorded
    assert state.version == 1
