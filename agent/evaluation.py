"""Evaluation of a model: cases of conversations, what must be called and said, and what must not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.conversation import Conversation, Reply
from agent.grounding import check, facts_of
from agent.scripts import Expected, ScriptError, failures

CHANGING = frozenset({"record_feedback", "report_missed", "apply_feedback", "cancel_run"})


class Case(BaseModel):
    """One conversation; what is expected is expected of its last question."""

    model_config = ConfigDict(extra="forbid")

    id: str
    conversation: tuple[str, ...] = Field(min_length=1)
    expect: dict[str, dict[str, Any]] = Field(
        default={}, description="tools that must be called, with arguments they must have"
    )
    forbid: tuple[str, ...] = Field(default=(), description="tools that must not be called, at any question")
    facts: tuple[str, ...] = Field(default=(), description="words and numbers that the answer must contain")
    refusal: bool = Field(default=False, description="whether the point of the case is that nothing is done")
    state: str | None = Field(
        default=None, description="tool whose answer must be the same before and after, such as list_suggestions"
    )


@dataclass(frozen=True)
class Outcome:
    """How one case went."""

    case: Case
    tools: bool
    arguments: bool
    facts: bool
    forbidden: bool
    state: bool
    unsupported: int
    claims_of: int
    requests: int
    seconds: float
    why: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return self.tools and self.arguments and self.facts and not self.forbidden and self.state and not self.unsupported


Talk = Callable[[], Awaitable[Conversation]]
"""A new conversation."""
Look = Callable[[str], Awaitable[Any]]
"""The answer of one reading tool, called directly: the state that a case must not change."""


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a JSONL file. Raises `ScriptError` naming the line that is none."""
    cases: list[Case] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path.name} cannot be read: {error}") from error
    for place, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                cases.append(Case.model_validate_json(line))
            except ValidationError as error:
                raise ScriptError(f"{path.name}, line {place}: {error.errors()[0]['msg']}") from error
    return tuple(cases)


async def evaluate(case: Case, conversation: Conversation, look: Look | None = None) -> Outcome:
    """How the conversation's model does on one case."""
    begun = conversation.asking.clock()
    before = await look(case.state) if look and case.state else None
    replies = [await conversation.ask(said) for said in case.conversation]
    after = await look(case.state) if look and case.state else None
    last = replies[-1]
    wrong = failures(Expected(calls=case.expect, says=case.facts, refused=True), last)
    called = {made.tool for reply in replies for made in reply.calls}
    bad = check(
        last.text,
        facts_of((made.payload for reply in replies for made in reply.calls), conversation.asking.zone, _said(case, replies)),
    )
    return Outcome(
        case,
        tools=all(any(made.tool == tool for made in last.calls) for tool in case.expect),
        arguments=not any("was not called with" in each for each in wrong),
        facts=not any("does not say" in each for each in wrong),
        forbidden=bool(called & set(case.forbid)),
        state=before == after,
        unsupported=len(bad),
        claims_of=len(last.text.split("\n")),
        requests=sum(len(reply.calls) + 1 for reply in replies),
        seconds=(conversation.asking.clock() - begun).total_seconds(),
        why=(*wrong, *(finding.why for finding in bad)),
    )


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
    lines.append(f"| requests a case | {sum(each.requests for each in outcomes) / n:.1f} |" if n else "")
    lines.append(f"| seconds a case | {sum(each.seconds for each in outcomes) / n:.2f} |" if n else "")
    return "\n".join(filter(None, lines))


def _said(case: Case, replies: Sequence[Reply]) -> str:
    return "\n".join((*case.conversation, *(f"{made.args} {made.refusal}" for reply in replies for made in reply.calls)))
