"""A conversation with the server that the settings name, or with one started for it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.asking import Asking
from agent.building import build_agent
from agent.connecting import connected, own_process
from agent.conversation import Conversation
from agent.settings import AgentSettings


@asynccontextmanager
async def session(settings: AgentSettings) -> AsyncGenerator[Conversation]:
    """Inside, the conversation can be asked. Raises `ServerUnreachable` and `UnknownModel`."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        agent = build_agent(settings, server=None if settings.url else own_process(log))
        async with connected(agent, settings, log):
            yield Conversation(agent, Asking.of(settings), settings)
