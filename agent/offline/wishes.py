"""What a question asks for, in the thread it belongs to: the wish, what it names, and the times it means."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.offline.entities import Entities, entities_in, masked
from agent.offline.intents import SURE_FROM, UNSURE_BELOW, Guess, guesses
from agent.offline.plainly import plainly, written_out
from agent.offline.thread import Focus, Turn, focus_after
from agent.offline.times import Window, end_in, window_in

CHANGING = frozenset({"false_alarm", "expected", "real", "missed", "apply", "ingest", "cancel", "stage"})
"""Wishes whose calls store or change something: they need a sure reading."""
_DESTRUCTIVE = frozenset({"apply", "cancel"})
_WITHOUT_TOOLS = frozenset({"", "help", "off_topic", "approve"})
_ABOUT_SHOWN = frozenset({"baseline_detail", "confidence", "false_alarm", "expected", "real"})
_VERDICTS = frozenset({"false_alarm", "expected", "real"})
_QUESTION = re.compile(
    r"(?:(?:are|is|was|were|do|does|did|has|have)(?! not\b)|can|could|would|will|should|might|"
    r"how|what|which|who|whose|why|when|where)\b"
)
"""How a question begins once its courtesies are left out. It is no verdict: `are we certain it is noise` stores nothing."""
_ONLY_WITH = {
    "stage": re.compile(
        r"train|fit|learn|comput|calculat|baseline|scor|persist|featur|engineer|\brun|stage|step|walk|pipeline|analys|missing|"
        r"\brest\b|remain|continu|finish|complet|proceed|resum|catch|up to date|current|update"
    ),
    "apply": re.compile(
        r"appl|activat|enact|implement|execut|deploy|\bput\b|\bmake\b|\bdo\b|\bgo (?:ahead|on|for)\b|\b(?:force|effect)|"
        r"in place|\blive\b|roll|push|launch|ship|install|carry|switch|turn|proceed|\buse\b|\bset\b|bring|\byes\b"
    ),
    "cancel": re.compile(
        r"cancel|stop|abort|kill|interrupt|terminat|halt|break|\bend\b|quit|discontinu|call(?:ed)? off|shut|take down|pull the"
    ),
}
"""Words without which nothing is started, applied or stopped, however sure the classifier is."""
_CALLED_OFF = re.compile(
    r"\b(?:do not|must not|should not|never|not yet|forget|hold off|leave it|rather not|instead of|undo)\b"
)
"""Words after which nothing is applied or stopped: what is unsaid is not done, and three readings are offered."""
_ABOUT_SUGGESTION = frozenset({"preview", "apply", "approve"})
_ELLIPSIS = re.compile(
    r"^(?:(?:and|or|what about|how about|same|ok|okay|now|no|yes|then|also|for|of|on|in|with|the|please|i mean(?:t)?|show|do|"
    r"devicename|modelname|storename|metricname|timephrase|incidentid|anomalyid|versionnumber|suggestionid|store|stores|model|models)[\s,.?!:]*)+$"
)


@dataclass(frozen=True)
class Wish:
    """One question, understood. `intent` is empty if it is not clear; `offers` are the likeliest wishes then."""

    intent: str
    said: str
    names: Entities
    window: Window | None
    expires: datetime | None
    offers: tuple[str, ...] = ()


def wish_of(turns: Sequence[Turn], now: datetime) -> Wish:
    """The last turn's wish. Earlier turns say what short follow-ups and choices refer to."""
    focus, said = focus_after(turns[:-1]), written_out(turns[-1].prompt)
    names = entities_in(said, focus.devices)
    wish = Wish("", turns[-1].prompt, names, window_in(said, now), end_in(said, now))
    earlier = wish_of(turns[:-1], now) if len(turns) > 1 else None
    if earlier and not earlier.intent and earlier.offers and names.ordinal and names.ordinal <= len(earlier.offers):
        return replace(earlier, intent=earlier.offers[names.ordinal - 1], offers=())
    if earlier and earlier.intent and _is_ellipsis(said, names, focus):
        return _continued(earlier, wish)
    ranked = _ranked(said, focus, names)
    best = ranked[0]
    if _clear(best, said):
        return replace(wish, intent=best.intent)
    return replace(wish, offers=tuple(guess.intent for guess in ranked if guess.intent not in ("off_topic", "help"))[:3])


def needs_tools(turns: Sequence[Turn], now: datetime) -> bool:
    """Whether the last turn states a wish that only the server's tools can answer."""
    return wish_of(turns, now).intent not in _WITHOUT_TOOLS


def likeliest(turns: Sequence[Turn], now: datetime) -> tuple[str, ...]:
    """All wishes, the one that the last turn most probably states first."""
    focus, said = focus_after(turns[:-1]), written_out(turns[-1].prompt)
    ranked = _ranked(said, focus, entities_in(said, focus.devices))
    return tuple(filter(None, dict.fromkeys((wish_of(turns, now).intent, *(guess.intent for guess in ranked)))))


def _clear(best: Guess, said: str) -> bool:
    if len(re.findall(r"[a-z]{2,}", said.lower())) == 0:
        return False
    plain = plainly(said)
    if best.intent in _ONLY_WITH and not _ONLY_WITH[best.intent].search(plain):
        return False
    if best.intent in _DESTRUCTIVE and _CALLED_OFF.search(plain):
        return False
    return best.probability >= (SURE_FROM if best.intent in CHANGING else UNSURE_BELOW)


def _is_ellipsis(said: str, names: Entities, focus: Focus) -> bool:
    """Whether the text only swaps a name or a time of the question before: "and for D-7?"."""
    named = bool(names.device or names.metric or names.store or names.model or names.incident or names.anomaly)
    plain = masked(said, focus.devices)
    return (named or "timephrase" in plain) and _ELLIPSIS.match(plain) is not None


def _continued(earlier: Wish, now: Wish) -> Wish:
    named = {name: value for name, value in vars(now.names).items() if value}
    if "device" in named or "incident" in named:
        named = {"anomaly": None, "incident": None, "device": None, **named}
    if earlier.intent in CHANGING:
        return replace(now, offers=(earlier.intent,))
    return replace(now, intent=earlier.intent, names=replace(earlier.names, **named), window=now.window or earlier.window)


def _ranked(said: str, focus: Focus, names: Entities) -> list[Guess]:
    """Guesses after what the thread makes likely: nothing shown, nothing to judge; a file named, a file to load."""
    forced = "query" if names.sql else "ingest" if names.path else None
    if forced:
        return [Guess(forced, 1.0)]
    asked = 0.1 if _QUESTION.match(masked(said, focus.devices)) else 1.0
    weighed = [
        Guess(g.intent, g.probability * _weight(g.intent, focus, names) * (asked if g.intent in _VERDICTS else 1.0))
        for g in guesses(said, focus.devices)
    ]
    whole = sum(guess.probability for guess in weighed)
    return sorted((Guess(guess.intent, guess.probability / whole) for guess in weighed), key=lambda g: -g.probability)


def _weight(intent: str, focus: Focus, names: Entities) -> float:
    if intent in _ABOUT_SHOWN:
        return (
            1.5
            if focus.subject in ("anomaly", "incident")
            else 1.0
            if names.anomaly or names.incident or focus.subject
            else 0.6
        )
    if intent in _ABOUT_SUGGESTION:
        return 1.5 if focus.subject == "suggestion" else 1.0 if names.suggestion or focus.suggestion else 0.6
    if intent == "explain":
        return 1.3 if names.device or names.anomaly else 1.0
    if intent == "ingest":  # a file that is named was seen before the classifier was asked
        return 0.5
    return 1.0
