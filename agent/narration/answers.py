"""The answer to a question whose calls are done: one template a wish, the warning first, window and freshness last."""

from collections.abc import Callable, Mapping

from agent.narration import corrections, findings, groups, trust
from agent.narration.words import Payload, Reader, footer, sentences
from agent.offline.intents import offer, phrases
from agent.offline.planner import Done
from agent.offline.thread import Turn
from agent.quoting import plain

Template = Callable[[Turn, Reader], str]
TEMPLATES: Mapping[str, tuple[str, Template]] = {
    "attention": ("list_incidents", findings.attention),
    "explain": ("explain_anomaly", findings.explanation),
    "baseline_detail": ("explain_anomaly", findings.baseline_detail),
    "confidence": ("explain_anomaly", findings.confidence),
    "peers": ("compare_device_with_peers", groups.peers),
    "what_changed": ("what_changed", groups.changes),
    "update_effect": ("what_changed", groups.changes),
    "at_risk": ("list_at_risk_devices", groups.at_risk),
    "rank": ("rank_groups", groups.ranking),
    "chart": ("get_device_timeline", groups.timeline),
    "anomalies": ("list_anomalies", findings.anomalies),
    "incident": ("get_incident", findings.incident),
    "baselines": ("list_baselines", trust.baselines),
    "detector": ("get_detector", trust.detector),
    "distribution": ("get_score_distribution", trust.distribution),
    "drift": ("check_drift", trust.drift),
    "health": ("check_data_health", trust.health),
    "false_alarm": ("record_feedback", corrections.recorded),
    "expected": ("record_feedback", corrections.recorded),
    "real": ("record_feedback", corrections.recorded),
    "missed": ("report_missed", corrections.missed),
    "recall": ("recall_feedback", corrections.recalled),
    "fix": ("suggest_baseline_adjustments", corrections.suggested),
    "tune": ("suggest_detector_settings", corrections.suggested),
    "rollback": ("suggest_rollback", corrections.suggested),
    "preview": ("preview_suggestion", corrections.preview),
    "apply": ("apply_feedback", corrections.applied),
    "suggestions": ("list_suggestions", corrections.suggestions),
    "effect": ("list_effects", corrections.effects),
    "manager_note": ("get_incident", findings.manager_note),
    "stage": ("", trust.walk),
    "ingest": ("", trust.walk),
    "cancel": ("", trust.walk),
    "runs": ("", trust.runs),
    "overview": ("get_overview", trust.overview),
    "query": ("query_telemetry", trust.query),
}
_EXAMPLES = (
    "attention",
    "explain",
    "peers",
    "what_changed",
    "rank",
    "chart",
    "false_alarm",
    "missed",
    "fix",
    "preview",
    "health",
)


def answer(done: Done, reader: Reader) -> str:
    """The answer in Markdown."""
    wish, turn = done.wish, done.turn
    if done.refused is not None:
        return _refused(done)
    if wish.intent in _WITHOUT_CALLS:
        return _WITHOUT_CALLS[wish.intent]()
    tool, template = _chosen(wish.intent, turn)
    told = groups.changes(turn, reader, wish.names) if wish.intent == "update_effect" else template(turn, reader)
    lead = "" if wish.intent == "health" else trust.warning(turn, reader)
    end = "" if wish.intent == "manager_note" else footer(_with_window(turn.payload(tool), turn), reader)
    return sentences(lead, told, end)


def _with_window(payload: Payload, turn: Turn) -> Payload:
    """An answer over all telemetry states no window of its own: then it is the telemetry's."""
    whole = turn.payload("check_data_health").get("window")
    stated = (payload.get("window") or {}).get("first")
    return {**payload, "window": whole} if whole and not stated and "window" in payload else payload


def _chosen(intent: str, turn: Turn) -> tuple[str, Template]:
    tool, template = TEMPLATES[intent]
    if intent == "peers" and not turn.payload(tool):
        return "get_incident", findings.incident
    return tool, template


def _refused(done: Done) -> str:
    refused = done.refused
    words = plain(refused.refusal if refused else "", 700)
    if refused and refused.tool == "apply_feedback":
        return sentences(f"I cannot apply it: {words}", "" if "decides" in words else corrections.WHERE, "Nothing was changed.")
    return sentences(
        f"That did not work: {words}", "Name it as the server spells it, and I try again." if "Did you mean" in words else ""
    )


def _help() -> str:
    lines = "\n".join(f"- {offer(intent)} (“{phrases()[intent]['phrases'][0]}”)" for intent in _EXAMPLES)
    return f"I watch a fleet of devices. I can, among other things:\n{lines}\nI never approve a change: a person does."


def _other() -> str:
    return (
        "I cannot do that: I only read this fleet's telemetry, explain what is not normal, "
        "record verdicts and draft corrections. "
        "I control no devices and send no messages. Ask what I can do to see examples."
    )


def _approve() -> str:
    return f"I cannot approve or reject anything, whoever asks me here. {corrections.WHERE} Nothing was changed."


_WITHOUT_CALLS: Mapping[str, Callable[[], str]] = {"help": _help, "off_topic": _other, "approve": _approve}
