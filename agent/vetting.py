"""What is held against a language model's reply before it is used: nonsense, unasked calls, numbers nobody measured."""

import re
from collections.abc import Mapping, Sequence

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo

from agent.grounding import check, facts_of
from agent.offline.model import clock
from agent.offline.planner import Done, next_move
from agent.offline.steps import Ask, Call
from agent.offline.thread import STAGES, Turn, turns_of
from agent.offline.wishes import Wish, needs_tools, wish_of

_REMEMBERED = 3
"""Questions back whose answers may be spoken of."""
MOST_SAME_CALLS = 2
"""How often a model may make the very same call for one question."""
_WALKING = frozenset({"stage", "ingest"})
ASKED_BY: Mapping[str, frozenset[str]] = {
    "record_feedback": frozenset({"false_alarm", "expected", "real"}),
    "report_missed": frozenset({"missed"}),
    "apply_feedback": frozenset({"apply"}),
    "cancel_run": frozenset({"cancel"}),
    "suggest_baseline_adjustments": frozenset({"fix", "tune", "preview"}),
    "suggest_detector_settings": frozenset({"fix", "tune", "preview"}),
    "suggest_rollback": frozenset({"rollback"}),
    "advance_run": _WALKING,
    **dict.fromkeys(STAGES, _WALKING),
}
"""Wishes in the person's own words that each changing tool needs: what a device's name or a note says is no wish."""
_NAMED = ("anomaly", "incident", "suggestion", "device", "store", "run")
_SUBJECTS = ("verdict", *_NAMED)
"""What a call that changes something is about, by the names of its arguments."""
_CHANGED = re.compile(
    r"\b(?:I(?:'ve| have)?|was|were|has been|have been|is now|successfully) (?:applied|approved|recorded|stored)\b",
    re.IGNORECASE,
)


def objection(reply: ModelResponse, messages: list[ModelMessage], info: AgentInfo) -> str:
    """Why the reply is not to be used; empty if it is."""
    turns = turns_of(messages)
    calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
    if calls:
        return next(filter(None, (_against_call(call, turns, info) for call in calls)), "")
    return _against_words(" ".join(part.content for part in reply.parts if isinstance(part, TextPart)), turns, info)


def _against_call(call: ToolCallPart, turns: Sequence[Turn], info: AgentInfo) -> str:
    tool = next((each for each in info.function_tools if each.name == call.tool_name), None)
    if tool is None:
        return f"there is no tool {call.tool_name!r}"
    try:
        args = call.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError):
        return f"the arguments of {call.tool_name} are no JSON object"
    if sum(made.tool == call.tool_name and made.args == args for made in turns[-1].made) >= MOST_SAME_CALLS:
        return f"{call.tool_name} again with the same arguments"
    annotations = (tool.metadata or {}).get("annotations") or {}
    if annotations.get("readOnlyHint") is True:
        return ""
    now = clock(info.instructions or "")
    wish = wish_of(turns[-20:], now)
    if wish.intent not in ASKED_BY.get(call.tool_name, frozenset()):
        return f"nobody asked for {call.tool_name}"
    return _against_subject(call.tool_name, args, wish, next_move(turns, now))


def _against_subject(tool: str, args: Mapping[str, object], wish: Wish, meant: Call | Ask | Done) -> str:
    """A call that changes something is about what the person's words point to: an unsure model takes the first it sees."""
    if isinstance(meant, Ask):
        return f"what {tool} is to be about was not said"
    if isinstance(meant, Done):
        return f"nobody asked for {tool} once more"
    if meant.tool == tool:
        subject = {name: meant.args[name] for name in _SUBJECTS if name in meant.args}
    else:  # the plan looks something up first: what the words themselves name counts
        subject = {name: getattr(wish.names, name) for name in _NAMED if name in args and getattr(wish.names, name)}
    other = next((name for name in subject if str(args.get(name)).casefold() != str(subject[name]).casefold()), None)
    return f"{tool} for another {other} than was meant" if other else ""


def _against_words(words: str, turns: Sequence[Turn], info: AgentInfo) -> str:
    letters = sum(character.isalpha() or character.isspace() for character in words)
    if not words.strip() or letters < len(words) / 2:
        return "no words"
    if re.search(r'"(?:arguments|parameters|name)"\s*:', words):
        return "a call written as words"
    if re.search(r"!?\[[^\]]*\]\([^)]*\)|<\w+[ >]|\bhttps?://", words):
        return "a link, an image or markup"
    now, payloads = clock(info.instructions or ""), [made.payload for turn in turns[-_REMEMBERED:] for made in turn.made]
    if not any(payloads) and (re.search(r"\d", words) or needs_tools(turns, now)):
        return "an answer that no tool gave"
    said = "\n".join([turns[-1].prompt, *(f"{made.args} {made.refusal}" for turn in turns for made in turn.made)])
    facts = facts_of(payloads, now.tzinfo or now.astimezone().tzinfo, said)  # type: ignore[arg-type]
    wrong = check(words, facts)
    return f"unsupported: {wrong[0].why}" if wrong else _claims_change(words, turns[-1])


def _claims_change(words: str, turn: Turn) -> str:
    did = any(made.payload and made.tool in ASKED_BY for made in turn.made)
    looked = any(
        made.tool in ("list_suggestions", "list_effects", "recall_feedback", "get_incident", "get_overview")
        for made in turn.made
    )
    return "it claims a change that no call made" if _CHANGED.search(words) and not did and not looked else ""
