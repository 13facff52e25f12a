"""What one chat process has: who may talk, where the server is, and the talks that are going on."""

import asyncio
from collections.abc import Coroutine, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from chainlit import Message
from chainlit.data.sql_alchemy import SQLAlchemyDataLayer

from agent.asking import Asking
from agent.building import Analyst, build_agent
from agent.conversation import Conversation
from agent.offline.intents import guesses
from agent.settings import AgentSettings
from chat_ui.approvals import Offered
from chat_ui.client import Client
from chat_ui.opened import Opened
from chat_ui.people import People, Person
from chat_ui.settings import ChatSettings
from chat_ui.threads import Histories

Payload = Mapping[str, Any]
WINDOWS: Mapping[str, int | None] = {"all of it": None, "last day": 1, "last 7 days": 7, "last 14 days": 14}
"""Stretches that charts can be drawn of, in days up to the last telemetry."""


@dataclass
class Talk:
    """One person in one browser tab."""

    person: Person
    client: Client
    conversation: Conversation
    zone: ZoneInfo
    profile: str
    read_only: bool = False
    days: int | None = None
    """How much of the telemetry charts show; None is all of it."""
    scopes: frozenset[str] | None = None
    """What the person's token may do, as the server says; None where it says nothing of that."""
    offered: Offered = field(default_factory=Offered)
    dashboard: dict[str, Message] = field(default_factory=dict[str, Message])
    """Messages that the dashboard consists of, by id."""
    watching: asyncio.Task[None] | None = None
    drawing: asyncio.Task[None] | None = None
    answering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a question is answered: a conversation has one at a time."""
    begun: int = 0
    """Answers and clicks that work was begun for, and how much of it is still under way."""
    under_way: int = 0
    sight: dict[str, Message] = field(default_factory=dict[str, Message])
    """Messages of the first sight below the dashboard, by id."""

    def may(self, scope: str) -> bool:
        """Whether the server would take it from this person, as far as is known; and the person did not choose to read only."""
        return not self.read_only and (self.scopes is None or scope in self.scopes)

    def why_not(self, scope: str) -> str:
        """Why the person may not; empty if they may."""
        if self.may(scope):
            return ""
        if self.read_only:
            return "Read-only mode is on: switch it off in the settings first."
        return f"{self.person.name} lacks the right to {_RIGHTS[scope]} (scope `{scope}`). Somebody who has it can."

    @contextmanager
    def work(self) -> Generator[None]:
        """Count what is done inside as under way."""
        self.begun += 1
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    def watch(self, watching: Coroutine[Any, Any, None]) -> None:
        """Do this as long as the page is there, and what was done like it no more."""
        self.pause()
        self.watching = asyncio.create_task(watching)

    def draw(self, drawing: Coroutine[Any, Any, None]) -> None:
        """Draw this, and what is still being drawn no more."""
        if self.drawing:
            self.drawing.cancel()
        self.drawing = asyncio.create_task(drawing)

    def pause(self) -> None:
        """Stop watching: the page is gone, for now or for good."""
        if self.watching:
            self.watching.cancel()

    async def close(self) -> None:
        """Stop watching and give the connections back."""
        self.pause()
        if self.drawing:
            self.drawing.cancel()
        await self.client.close()


_RIGHTS = {"approve": "decide on suggestions", "feedback": "mark or suggest", "run": "start runs"}


@dataclass
class Desk:
    """The parts that every talk uses."""

    people: People
    agent: AgentSettings
    settings: ChatSettings
    store: SQLAlchemyDataLayer
    histories: Histories
    opened: Opened
    talks: dict[str, Talk] = field(default_factory=dict[str, Talk])

    @property
    def server(self) -> str:
        """The server's address without a path."""
        parts = urlsplit(self.agent.url or "")
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def models(self) -> list[str]:
        """Models that can be chosen: the configured one, and the offline one that stands behind it."""
        return list(dict.fromkeys((self.agent.model, "offline")))

    def begin(self, session: str, person: Person, profile: str) -> Talk:
        """The talk of that person in that session; a new one if there is none."""
        talk = self.talks.get(session)
        if talk and talk.person == person:
            return talk
        if talk:
            talk.pause()
        talk = Talk(
            person,
            Client(self.server, person.token),
            Conversation(self.analyst(self.agent.model), settings=self.agent),
            self.agent.zone,
            profile,
        )
        self.talks[session] = talk
        self.adjust(talk, self.agent.model, self.agent.time_zone, read_only=False)
        return talk

    def adjust(self, talk: Talk, model: str, zone: str, *, read_only: bool) -> None:
        """Give the talk another model, time zone or mode; its history stays. Raises `ValueError` for what can not be chosen."""
        if model not in self.models:
            raise ValueError(f"{model!r} is none of {', '.join(self.models)}")
        chosen = AgentSettings.model_validate({**self.agent.model_dump(), "model": model, "time_zone": zone})
        talk.zone, talk.read_only = chosen.zone, read_only
        talk.conversation.agent, talk.conversation.settings = self.analyst(model), chosen
        talk.conversation.asking = Asking(chosen.zone, user=talk.person.name, token=talk.person.agent_token)

    def analyst(self, model: str) -> Analyst:
        """The agent with that model, made once; each question connects with its person's token."""
        return _analyst(self.agent.model_copy(update={"model": model}).model_dump_json(exclude={"token"}))

    async def end(self, session: str) -> None:
        """Forget the talk."""
        talk = self.talks.pop(session, None)
        if talk:
            await talk.close()


_learning = Lock()


def learn_words() -> None:
    """Return once the offline model has learned its phrases: seconds of work that the first question need not wait for."""
    with _learning:
        guesses("what needs my attention?")


@cache
def _analyst(settings: str) -> Analyst:
    return build_agent(AgentSettings.model_validate_json(settings))
