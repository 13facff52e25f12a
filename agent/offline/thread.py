"""The thread of a conversation, read from its messages: what was asked, what was called, and what is spoken of now."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from pydantic_ai.messages import ModelMessage, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart

from agent.offline.entities import Entities, entities_in

Payload = Mapping[str, Any]
STAGES = (
    "ingest_telemetry",
    "engineer_features",
    "compute_baselines",
    "train_detector",
    "score_telemetry",
    "persist_anomalies",
)


@dataclass(frozen=True)
class Made:
    """A call that was made and what came back; `refusal` is the text of a failed one."""

    tool: str
    args: Payload
    payload: Payload = field(default_factory=dict[str, Any])
    refusal: str = ""
    time: datetime | None = None


@dataclass(frozen=True)
class Turn:
    """One question, the calls made for it, and the answer if it was given."""

    prompt: str
    made: tuple[Made, ...] = ()
    answer: str = ""

    def last(self, tool: str) -> Made | None:
        """The newest call of the tool in this turn."""
        return next((made for made in reversed(self.made) if made.tool == tool), None)

    def payload(self, tool: str) -> Payload:
        """What the tool's newest call answered; empty if it was not made or was refused."""
        made = self.last(tool)
        return made.payload if made else {}


@dataclass(frozen=True)
class Focus:
    """What a conversation speaks of now. `subject` is what "that one" means: what was shown last."""

    subject: Literal["anomaly", "incident", "suggestion", "list", ""] = ""
    anomaly: str | None = None
    incident: str | None = None
    change: str | None = None
    """The recorded change that the question was about, or that explains most."""
    device: str | None = None
    metric: str | None = None
    suggestion: str | None = None
    run: str | None = None
    listed: tuple[tuple[str, str], ...] = ()
    """Kind and id of what the last list showed."""
    devices: frozenset[str] = frozenset()
    """Names of devices seen so far."""


def turns_of(messages: Sequence[ModelMessage]) -> list[Turn]:
    """The conversation, a turn for each question; the last one is what is to be answered."""
    turns: list[Turn] = []
    calls: dict[str, ToolCallPart] = {}
    for part in _parts(messages):
        if isinstance(part, UserPromptPart):
            turns.append(Turn(_words(part)))
        elif isinstance(part, ToolCallPart):
            calls[part.tool_call_id] = part
        elif turns and isinstance(part, ToolReturnPart):
            made = _made(part, calls.get(part.tool_call_id))
            turns[-1] = replace(turns[-1], made=(*turns[-1].made, made))
        elif turns and isinstance(part, TextPart):
            turns[-1] = replace(turns[-1], answer=part.content)
    return turns or [Turn("")]


def focus_after(turns: Sequence[Turn]) -> Focus:
    """What is spoken of after these turns."""
    focus = Focus()
    for turn in turns:
        for made in turn.made:
            if not made.refusal:
                focus = _after(focus, made)
        meant = changes_meant(turn.payload("what_changed").get("changes") or (), entities_in(turn.prompt))
        if meant:
            focus = replace(focus, change=meant[0]["id"])
    return focus


def _parts(messages: Sequence[ModelMessage]) -> Iterator[Any]:
    for message in messages:
        yield from message.parts


def _words(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return " ".join(piece for piece in part.content if isinstance(piece, str))


def _made(part: ToolReturnPart, call: ToolCallPart | None) -> Made:
    args = call.args_as_dict() if call else {}
    if part.outcome != "success" or not isinstance(part.content, Mapping):
        return Made(part.tool_name, args, refusal=_refusal(part), time=part.timestamp)
    return Made(part.tool_name, args, payload=part.content, time=part.timestamp)


def _refusal(part: ToolReturnPart) -> str:
    """The server's words alone, without what protocols wrap around them."""
    content = part.content.get("error") if isinstance(part.content, Mapping) else part.content
    words = content if isinstance(content, str) else part.model_response_str()
    if words.startswith('{"error":'):
        words = str(json.loads(words)["error"])
    return re.sub(r"^Error executing tool \w+: ", "", words) or "refused"


def _after(focus: Focus, made: Made) -> Focus:
    payload = made.payload
    seen = focus.devices | _devices(payload)
    focus = replace(focus, devices=frozenset(list(seen)[:500]))
    if made.tool in _READERS:
        return _READERS[made.tool](focus, payload)
    if made.tool in STAGES or made.tool in ("advance_run", "get_run"):
        return replace(focus, run=payload.get("run") or focus.run)
    return focus


def _devices(payload: Payload) -> frozenset[str]:
    one = payload.get("device")
    many = payload.get("anomalies") if isinstance(payload.get("anomalies"), list) else payload.get("devices")
    rows: list[Any] = many if isinstance(many, list) else []
    names = [row.get("device") for row in rows if isinstance(row, Mapping)]
    return frozenset(name for name in (one, *names) if isinstance(name, str) and len(name) > 2)


def _explained(focus: Focus, payload: Payload) -> Focus:
    metrics = payload.get("metrics") or [{}]
    return replace(
        focus,
        subject="anomaly",
        anomaly=payload["anomaly"],
        device=payload["device"],
        incident=payload.get("incident") or None,
        metric=metrics[0].get("metric"),
    )


def _anomaly(focus: Focus, payload: Payload) -> Focus:
    anomaly = payload["anomaly"]
    return replace(
        focus, subject="anomaly", anomaly=anomaly["id"], device=anomaly["device"], incident=anomaly.get("incident") or None
    )


def _incident(focus: Focus, payload: Payload) -> Focus:
    card = payload["incident"]
    return replace(
        focus, subject="incident", incident=card["id"], anomaly=None, device=None, metric=next(iter(card["metrics"]), None)
    )


def _incidents(focus: Focus, payload: Payload) -> Focus:
    return _listed(focus, "incident", [card["id"] for card in payload.get("incidents", ())])


def _anomalies(focus: Focus, payload: Payload) -> Focus:
    return _listed(focus, "anomaly", [card["id"] for card in payload.get("anomalies", ())])


def _listed(focus: Focus, kind: Literal["incident", "anomaly", "suggestion"], ids: Sequence[str]) -> Focus:
    if len(ids) == 1:
        only = {"incident": None, "anomaly": None} if kind != "suggestion" else {}
        return replace(focus, subject=kind, listed=((kind, ids[0]),), **{**only, kind: ids[0]})  # type: ignore[arg-type]
    gone = {} if kind == "suggestion" else {"anomaly": None, "incident": None}
    return replace(focus, subject="list" if ids else focus.subject, listed=tuple((kind, i) for i in ids), **gone)  # type: ignore[arg-type]


def _device(focus: Focus, payload: Payload) -> Focus:
    device = payload["device"]
    metric = payload.get("metric") or focus.metric
    if device != focus.device:
        return replace(focus, subject="", device=device, metric=metric, anomaly=None, incident=None)
    return replace(focus, metric=metric)


def _suggested(focus: Focus, payload: Payload) -> Focus:
    return _listed(focus, "suggestion", [suggestion_id(each) for each in payload.get("suggestions", ())])


def _suggestion(focus: Focus, payload: Payload) -> Focus:
    found = payload.get("suggestion")
    return replace(focus, subject="suggestion", suggestion=found if isinstance(found, str) else focus.suggestion)


def _changes(focus: Focus, payload: Payload) -> Focus:
    ranked = payload.get("changes") or ()
    return replace(
        focus,
        incident=payload.get("incident") or None,
        change=ranked[0]["id"] if ranked else None,
    )


def changes_meant(ranked: Sequence[Payload], names: Entities) -> list[Payload]:
    """The recorded changes that fit the model and version named, those that most devices have first; none if none is named."""
    wanted = [each.casefold() for each in (*names.versions[:1], names.model) if each]
    fitting = [change for change in ranked if wanted and all(each in _about(change) for each in wanted)]
    return sorted(fitting, key=lambda change: -change["exposed"]["of"])


def _about(change: Payload) -> str:
    row = change["change"]
    return " ".join((row["description"], row["before"], row["after"], *row["scope"].values())).casefold()


def suggestion_id(entry: Payload) -> str:
    """The id of a suggestion, standing or bare."""
    inner = entry.get("suggestion")
    return str(inner["id"] if isinstance(inner, Mapping) else inner or entry.get("id", ""))


_READERS = {
    "explain_anomaly": _explained,
    "get_anomaly": _anomaly,
    "get_incident": _incident,
    "list_incidents": _incidents,
    "list_anomalies": _anomalies,
    "compare_device_with_peers": _device,
    "get_device_timeline": _device,
    "suggest_baseline_adjustments": _suggested,
    "suggest_detector_settings": _suggested,
    "suggest_rollback": _suggested,
    "list_suggestions": _suggested,
    "preview_suggestion": _suggestion,
    "apply_feedback": _suggestion,
    "what_changed": _changes,
}
