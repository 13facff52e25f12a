"""What to do next for a question: the next call of its plan, a step that a refusal asks for, a question back, or the answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.offline.changing_plans import CHANGES
from agent.offline.intents import offer
from agent.offline.reading_plans import READING
from agent.offline.steps import Ask, Call, Situation, call
from agent.offline.thread import STAGES, Made, Turn, focus_after
from agent.offline.wishes import Wish, wish_of

PLANS = {**READING, **CHANGES}
MOST_CALLS = 20
"""Calls made for one question, missing steps of a walk among them."""
_REMEMBERED = 20
"""Questions back that a follow-up may refer to."""
_NEXT = re.compile(r"Call (\w+) next")
_NEAR = re.compile(r"Did you mean ([^?]+)\?")


@dataclass(frozen=True)
class Done:
    """Nothing more is to be called: `turn` holds what was found, `refused` the call that stayed refused."""

    wish: Wish
    turn: Turn
    refused: Made | None = None


def next_move(turns: Sequence[Turn], now: datetime) -> Call | Ask | Done:
    """The next move for the last turn."""
    turns = turns[-_REMEMBERED:]
    wish, turn = wish_of(turns, now), turns[-1]
    situation = Situation(wish, focus_after(turns[:-1]), turn, now)
    if not wish.intent:
        return Ask(_choices(wish.offers))
    for step in PLANS.get(wish.intent, ()):
        wanted = step(situation)
        if isinstance(wanted, Ask):
            return wanted
        move = _pursued(wanted, turn) if wanted else None
        if isinstance(move, Made):
            return Done(wish, turn, move)
        if move:
            return move
    return Done(wish, turn)


def _pursued(wanted: Call, turn: Turn) -> Call | Made | None:
    """The call still to be made for this step; None if it succeeded, the refusal if nothing can be done about it."""
    made = turn.last(wanted.tool)
    if made is None:
        return wanted
    if not made.refusal or wanted.optional:
        return None
    return _remedy(made, wanted, turn) or made


def _remedy(made: Made, wanted: Call, turn: Turn) -> Call | None:
    if len(turn.made) >= MOST_CALLS:
        return None
    blocker = _NEXT.search(made.refusal)
    if blocker and blocker[1] in STAGES and wanted.tool in STAGES and blocker[1] != wanted.tool:
        return _missing_stage(made, blocker[1], wanted, turn)
    return _at_any_time(made, wanted, turn) or _spelled_better(made, wanted, turn)


def _at_any_time(made: Made, wanted: Call, turn: Turn) -> Call | None:
    """The device's worst anomaly, where it has none at the time asked about."""
    if "around" not in wanted.args or not made.refusal.startswith("no anomaly within"):
        return None
    anytime = {name: value for name, value in wanted.args.items() if name != "around"}
    return None if any(each.args == anytime for each in turn.made) else Call(wanted.tool, anytime)


def _missing_stage(made: Made, stage: str, wanted: Call, turn: Turn) -> Call | None:
    """The stage that the refusal names; the wanted call again once that is done."""
    since = turn.made[turn.made.index(made) + 1 :]
    done = next((each for each in reversed(since) if each.tool == stage), None)
    step = call(stage, run=wanted.args.get("run"))
    if done is None:
        return step
    return _remedy(done, step, turn) if done.refusal else wanted


def _spelled_better(made: Made, wanted: Call, turn: Turn) -> Call | None:
    """The same call with the one near match that differs only in how its number or case is written."""
    near = _NEAR.search(made.refusal)
    tries = sum(each.tool == wanted.tool for each in turn.made)
    if near is None or tries > 1:
        return None
    for offered in near[1].split(", "):
        for name, value in wanted.args.items():
            if name in ("store", "device") and isinstance(value, str) and _plain(value) == _plain(offered):
                return Call(wanted.tool, {**wanted.args, name: offered})
    return None


def _plain(name: str) -> str:
    return re.sub(r"0*(\d+)", r"\1", re.sub(r"[\W_]+", "", name.casefold()))


def _choices(offers: Sequence[str]) -> str:
    if not offers:
        return "I did not understand that. Ask what I can do, or for instance: what needs attention?"
    if len(offers) == 1:
        return f"Shall I {offer(offers[0])}? Then please say it in full, with what it is about."
    lines = [f"{place}. {offer(each)}" for place, each in enumerate(offers, 1)]
    return "I am not sure what you mean. Shall I\n" + "\n".join(lines) + "\nSay a number, or put it in other words."
