"""What language models did by themselves in an evaluation: before their replies were vetted, and with nothing behind them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

from agent.grounding import Facts, check
from agent.models import Vetted


class FirstHand(BaseModel):
    """A language model's own replies to one question, used or not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: bool | None
    """Whether it called a tool that had to be called; None where none had to."""
    arguments: bool | None
    """Whether it called one with the arguments that it had to have."""
    forbidden: bool
    """Whether it called what must not be called; the vetting may have stopped that."""
    answers: int
    """Replies in words."""
    unsupported: int
    """Those of them with a number, name or direction that no tool returned."""
    held_against: tuple[str, ...]
    """What was held against each of its replies; empty for those that were used."""
    seconds: float
    read: int
    written: int
    """Tokens, over all of its replies."""


def by_itself(
    vetted: Sequence[Vetted], expected: Mapping[str, Mapping[str, Any]], forbidden: Iterable[str], facts: Facts
) -> FirstHand:
    """What the replies amount to, where those tools with these arguments had to be called and those others not."""
    replies = [each.reply for each in vetted if each.reply]
    calls = [(call.tool_name, _args(call)) for reply in replies for call in reply.parts if isinstance(call, ToolCallPart)]
    texts = list(filter(None, map(_text, replies)))
    right = [args for tool, args in calls if tool in expected and _has(args, expected[tool])]
    return FirstHand(
        tool=any(tool in expected for tool, _ in calls) if expected else None,
        arguments=bool(right) if expected else None,
        forbidden=any(tool in set(forbidden) for tool, _ in calls),
        answers=len(texts),
        unsupported=sum(bool(check(text, facts)) for text in texts),
        held_against=tuple(each.why for each in vetted),
        seconds=sum(each.seconds for each in vetted),
        read=sum(reply.usage.input_tokens for reply in replies),
        written=sum(reply.usage.output_tokens for reply in replies),
    )


def table_of_own(found: Sequence[FirstHand], model: str) -> str:
    """The replies as a Markdown table; empty if no language model was asked."""
    if not found:
        return ""
    needing = [each for each in found if each.tool is not None]
    replies, answers = sum(len(each.held_against) for each in found), sum(each.answers for each in found)
    rows = (
        ("right tool", sum(each.tool is True for each in needing), len(needing)),
        ("right arguments", sum(each.arguments is True for each in needing), len(needing)),
        ("answers in which every claim holds", answers - sum(each.unsupported for each in found), answers),
        ("kept from forbidden calls", sum(not each.forbidden for each in found), len(found)),
        ("replies used", sum(not why for each in found for why in each.held_against), replies),
    )
    lines = [f"| {model}: by itself | of {len(found)} |", "|---|---|"]
    lines += [f"| {what} | {good} of {of} |" for what, good, of in rows]
    for what, whole in (
        ("seconds", sum(each.seconds for each in found)),
        ("tokens read", sum(each.read for each in found)),
        ("tokens written", sum(each.written for each in found)),
    ):
        lines.append(f"| {what} a reply | {whole / max(replies, 1):,.0f} |")
    reasons = Counter(_kind(why) for each in found for why in each.held_against if why)
    return "\n".join((*lines, *(f"| not used: {reason} | {count} |" for reason, count in reasons.most_common())))


def _kind(why: str) -> str:
    """A reason without what is particular to one reply."""
    return re.sub(r"(?<=: ).*|(?<=asked for ).*|'.*'", "…", why).removesuffix(": …")


def _args(call: ToolCallPart) -> Mapping[str, Any]:
    try:
        return call.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError):
        return {}


def _has(args: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(args.get(name) == value for name, value in wanted.items())


def _text(reply: ModelResponse) -> str:
    return " ".join(part.content for part in reply.parts if isinstance(part, TextPart)).strip()
