"""A conversation: questions, answers, calls that wait for a person, and a history that can be saved and resumed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import AgentRunResult, DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ToolCallPart

from agent.asking import Asking
from agent.building import Analyst, limits_of
from agent.narration.corrections import WHERE
from agent.offline.model import offline_model
from agent.offline.thread import Made, turns_of
from agent.settings import AgentSettings


@dataclass(frozen=True)
class Ruling:
    """What a person said to one call that waits; whether it is done is for the server to say."""

    approved: bool


Person = Callable[[ToolCallPart], Awaitable[Ruling]]
"""Asks a person whether a waiting call may be made."""


async def nobody(_: ToolCallPart) -> Ruling:
    """The answer where no person is there to ask: no."""
    return Ruling(approved=False)


@dataclass(frozen=True)
class Reply:
    """One answer, and the calls that led to it."""

    text: str
    calls: tuple[Made, ...]
    model: str
    waiting: tuple[ToolCallPart, ...] = ()
    """Calls that were held because no person approved them."""
    trouble: str = ""
    """Why the configured model did not finish, if it did not; the offline model answered then."""


@dataclass
class Conversation:
    """A conversation with one agent. `history` is all of it."""

    agent: Analyst
    asking: Asking = field(default_factory=Asking)
    settings: AgentSettings = field(default_factory=AgentSettings)
    history: list[ModelMessage] = field(default_factory=list[ModelMessage])
    person: Person = nobody

    async def ask(self, question: str, on_events: EventStreamHandler[Asking] | None = None) -> Reply:
        """The answer. A call marked destructive is put to `person` first; the server enforces its rules in any case."""
        try:
            return await self._answered(question, on_events)
        except AgentRunError as error:
            # too many calls, or a model that cannot be made to answer: start the question again without it
            with self.agent.override(model=offline_model()):
                return await self._answered(question, on_events, f"{type(error).__name__}: {error}")

    async def _answered(self, question: str, on_events: EventStreamHandler[Asking] | None, trouble: str = "") -> Reply:
        run = await self._run(question, on_events)
        held: list[ToolCallPart] = []
        while isinstance(run.output, DeferredToolRequests):
            rulings = [(call, await self.person(call)) for call in run.output.approvals]
            held += [call for call, ruling in rulings if not ruling.approved]
            run = await self._run(None, on_events, run.all_messages(), _results(rulings))
        self.history = run.all_messages()
        return Reply(str(run.output), turns_of(self.history)[-1].made, _model_of(run), tuple(held), trouble)

    async def _run(
        self,
        question: str | None,
        on_events: EventStreamHandler[Asking] | None,
        history: list[ModelMessage] | None = None,
        rulings: DeferredToolResults | None = None,
    ) -> AgentRunResult[str | DeferredToolRequests]:
        return await self.agent.run(
            question,
            deps=self.asking,
            message_history=history or self.history,
            deferred_tool_results=rulings,
            usage_limits=limits_of(self.settings),
            event_stream_handler=on_events,
        )

    def saved(self) -> bytes:
        """The history as JSON."""
        return ModelMessagesTypeAdapter.dump_json(self.history)

    def resume(self, saved: bytes) -> None:
        """Go on from a saved history. Raises `pydantic.ValidationError` if it is none."""
        self.history = ModelMessagesTypeAdapter.validate_json(saved)


def _results(rulings: list[tuple[ToolCallPart, Ruling]]) -> DeferredToolResults:
    denied = ToolDenied(f"no person approved this call. {WHERE}")
    return DeferredToolResults(
        approvals={call.tool_call_id: ToolApproved() if ruling.approved else denied for call, ruling in rulings}
    )


def _model_of(run: AgentRunResult[Any]) -> str:
    return run.response.model_name or ""
