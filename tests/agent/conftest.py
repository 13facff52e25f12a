"""A fake server, the agent over it, and conversations that stand at known points."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # canned answers and the fake server lie beside the tests

from fake_server import State, fake_server

from agent.asking import Asking
from agent.building import build_agent
from agent.conversation import Conversation
from agent.settings import AgentSettings

NOW = datetime(2026, 3, 12, 8, 30, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
THREADS = {
    "": (),
    "explained": ("Why was D-1042 flagged?",),
    "incidents": ("List the open incidents",),
    "incident": ("Show incident i-77aa88bb",),
    "suggested": ("Too many battery alerts on the S21, suggest a correction",),
    "applied": ("Too many battery alerts on the S21, suggest a correction", "What was the effect of the change?"),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def state() -> State:
    return State()


@asynccontextmanager
async def talking(state: State, model=None, thread: str = "") -> AsyncIterator[Conversation]:
    """A conversation over the fake server that has come to the end of a thread."""
    settings = AgentSettings(_env_file=None)
    agent = build_agent(settings, model, server=fake_server(state))
    async with agent:
        talk = Conversation(agent, Asking(ZONE, lambda: NOW, "mia"), settings)
        for said in THREADS[thread]:
            await talk.ask(said)
        state.calls.clear()
        yield talk


@pytest.fixture
def talk() -> Callable[..., object]:
    return talking
