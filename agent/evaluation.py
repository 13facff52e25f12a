"""Evaluation of a model: cases of conversations, what must be called and said, and what must not."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.conversation import Conversation, Reply
from agent.first_hand import FirstHand, by_itself
from agent.grounding import check, facts_of
from agent.looking import Looks
from agent.models import Chain
from agent.offline.model import offline_model
from agent.scripts import Expected, ScriptError, failures


class Case(BaseModel):
    """One conversation; what is expected is expected of its last question.

    `{tool.field.0.field}` in questions, arguments and facts stands for what that tool answers when the case begins.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    conversation: tuple[str, ...] = Field(min_length=1)
    expect: dict[str, dict[str, Any]] = Field(
        default={}, description="tools that must be called, with arguments they must have"
    )
    forbid: tuple[str, ...] = Field(default=(), description="tools that must not be called, at any question")
    facts: tuple[str, ...] = Field(default=(), description="words and numbers that the answer must contain")
    refusal: bool = Field(default=False, description="whether the point of the case is that nothing is done")
    state: tuple[str, ...] = Field(
        default=("list_baselines", "list_effects"), description="tools whose answers must be the same before and after"
    )
    writes: bool = Field(default=False, description="whether it stores verdicts or suggestions; left out unless asked for")


class Outcome(BaseModel):
    """How one case went."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: Case
    tools: bool
    arguments: bool
    facts: bool
    forbidden: bool
    state: bool
    unsupported: int
    calls: int
    seconds: float
    why: tuple[str, ...] = ()
    own: FirstHand | None = None
    """What a language model did by itself at the last question; None if none was asked."""

    @property
    def trouble(self) -> str:
        """What went wrong beside the answer, in words."""
        return "a forbidden call" if self.forbidden else "" if self.state else "what was stored changed"

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return self.tools and self.arguments and self.facts and not self.forbidden and self.state and not self.unsupported


State = dict[str, Mapping[str, Any]]
"""What tools answer, by tool."""


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a JSONL file, or the shipped ones of that name. Raises `ScriptError` naming the line that is none."""
    shipped = files("agent") / "cases" / f"{path.name}.jsonl"
    try:
        named = not path.suffix and not path.exists() and shipped.is_file()
        return _cases(shipped.read_text("utf-8") if named else path.read_text("utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path.name} cannot be read: {error}") from error


def _cases(text: str, name: str) -> tuple[Case, ...]:
    cases: list[Case] = []
    for place, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                cases.append(Case.model_validate_json(line))
            except ValidationError as error:
                raise ScriptError(f"{name}, line {place}: {error.errors()[0]['msg']}") from error
    return tuple(cases)


async def evaluate(case: Case, conversation: Conversation, seen: State | None = None, *, last_only: bool = False) -> Outcome:
    """How the conversation's model does on one case, from an empty history.

    `seen` is what the looks at the end of the case before found, and is brought up to date: it saves this one's first look.
    With `last_only` the offline model answers all questions but the last: a slow model is asked only what is measured.

    Raises:
        NothingThere: the fleet has nothing of what the case is about.
    """
    looks = Looks(conversation)
    case = Case.model_validate_json(await looks.filled(case.model_dump_json()))
    begun = perf_counter()
    seen = {} if seen is None else seen
    before = [seen[tool] if tool in seen else await looks.at(tool) for tool in case.state]
    conversation.history = []
    replies = [await _asked(said, conversation, offline=last_only) for said in case.conversation[:-1]]
    asked = conversation.agent.model if isinstance(conversation.agent.model, Chain) else None
    if asked:
        asked.vetted.clear()
    replies.append(await conversation.ask(case.conversation[-1]))
    after = [await looks.at(tool) for tool in case.state]
    seen.update(zip(case.state, after, strict=True))
    last = replies[-1]
    wrong = failures(Expected(calls=case.expect, says=case.facts, refused=True), last)
    called = {made.tool for reply in replies for made in reply.calls}
    payloads = (made.payload for reply in replies for made in reply.calls)
    facts = facts_of(payloads, conversation.asking.zone, _said(case, replies))
    bad = check(last.text, facts)
    return Outcome(
        case=case,
        tools=all(any(made.tool == tool for made in last.calls) for tool in case.expect),
        arguments=not any("was not called with" in each for each in wrong),
        facts=not any("does not say" in each for each in wrong),
        forbidden=bool(called & set(case.forbid)),
        state=before == after,
        unsupported=len(bad),
        calls=sum(len(reply.calls) for reply in replies),
        seconds=perf_counter() - begun,
        why=(*wrong, *(finding.why for finding in bad)),
        own=by_itself(tuple(asked.vetted), case.expect, case.forbid, facts) if asked else None,
    )


async def _asked(said: str, conversation: Conversation, *, offline: bool) -> Reply:
    if not offline:
        return await conversation.ask(said)
    with conversation.agent.override(model=offline_model()):
        return await conversation.ask(said)


def outcomes_in(path: Path) -> list[Outcome]:
    """What earlier runs wrote there, a line a case; none if there is no such file. Raises `ScriptError` naming a bad line."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found: list[Outcome] = []
    for place, line in enumerate(lines, 1):
        try:
            found.append(Outcome.model_validate_json(line))
        except ValidationError as error:
            raise ScriptError(f"{path.name}, line {place} is no outcome of a case: {error.errors()[0]['msg']}") from error
    return found


def table_of(outcomes: Sequence[Outcome], model: str) -> str:
    """The model's results as a Markdown table."""
    n = len(outcomes)
    refusing = [each for each in outcomes if each.case.refusal]
    rows = (
        ("cases passed", sum(each.passed for each in outcomes), n),
        ("right tool", sum(each.tools for each in outcomes), n),
        ("right arguments", sum(each.arguments for each in outcomes), n),
        ("facts stated", sum(each.facts for each in outcomes), n),
        ("answers without an unsupported claim", sum(not each.unsupported for each in outcomes), n),
        ("refused what must be refused", sum(each.passed for each in refusing), len(refusing)),
        ("kept from forbidden calls", sum(not each.forbidden for each in outcomes), n),
        ("left the state as it was", sum(each.state for each in outcomes), n),
    )
    lines = [f"| {model} | of {n} |", "|---|---|", *(f"| {what} | {good} of {of} |" for what, good, of in rows)]
    lines.append(f"| calls a case | {sum(each.calls for each in outcomes) / n:.1f} |" if n else "")
    lines.append(f"| seconds a case | {sum(each.seconds for each in outcomes) / n:.2f} |" if n else "")
    return "\n".join(filter(None, lines))


def _said(case: Case, replies: Sequence[Reply]) -> str:
    return "\n".join((*case.conversation, *(f"{made.args} {made.refusal}" for reply in replies for made in reply.calls)))
