"""Plans for wishes that only read."""

import re
from collections.abc import Mapping

from agent.offline.numbers import NUMBER, number
from agent.offline.sides import sides_of_update
from agent.offline.steps import Ask, Call, Plan, Situation, call, incident_of, pointed, times
from agent.offline.thread import suggestion_id

_WHICH_DEVICE = Ask("Which device, or which anomaly? Name one, such as D-1042; I can also list the anomalies.")


def health(_: Situation) -> Call | None:
    """How far the telemetry can be trusted; asked once a turn, because it leads the answer if it cannot."""
    return Call("check_data_health", {}, optional=True)


def _attention(_: Situation) -> Call:
    return call("list_incidents", limit=5)


def _explain(situation: Situation) -> Call | Ask:
    names, window = situation.wish.names, situation.wish.window
    anomaly = pointed(situation, "anomaly")
    if anomaly or names.device:
        around = window.around.isoformat() if names.device and not anomaly and window and window.around else None
        return call("explain_anomaly", anomaly=anomaly, device=None if anomaly else names.device, around=around)
    return _same_anomaly(situation)


def _same_anomaly(situation: Situation) -> Call | Ask:
    focus, names = situation.focus, situation.wish.names
    if names.anomaly or names.device:
        return call("explain_anomaly", anomaly=names.anomaly, device=None if names.anomaly else names.device)
    if focus.anomaly:
        return call("explain_anomaly", anomaly=focus.anomaly)
    if focus.device:
        return call("explain_anomaly", device=focus.device)
    shown = situation.turn.payload("list_anomalies").get("anomalies") or ()
    return call("explain_anomaly", anomaly=shown[0]["id"]) if shown else _WHICH_DEVICE


def _worst_of_incident(situation: Situation) -> Call | None:
    focus, names = situation.focus, situation.wish.names
    incident = incident_of(situation)
    if names.anomaly or names.device or focus.anomaly or focus.device or not incident:
        return None
    return call("list_anomalies", incident=incident, limit=1)


def _its_baseline(situation: Situation) -> Call | None:
    metrics = situation.turn.payload("explain_anomaly").get("metrics") or ()
    if not metrics or metrics[0].get("level") is None:
        return None
    top = metrics[0]
    return call(
        "list_baselines",
        level=top["level"],
        group=top.get("group"),
        feature=top["feature"],
        version=top.get("version"),
        limit=1,
    )


def _peers(situation: Situation) -> Call | Ask:
    names = situation.wish.names
    device = names.device or situation.focus.device
    incident = incident_of(situation)
    if device is None and incident:
        return call("get_incident", incident=incident)
    return (
        call("compare_device_with_peers", device=device, metric=names.metric, **times(situation.wish))
        if device
        else _WHICH_DEVICE
    )


def _changes(situation: Situation) -> Call:
    named = pointed(situation, "incident")
    window = times(situation.wish)
    if named or not window["since"]:
        return call("what_changed", incident=named or incident_of(situation))
    return call("what_changed", **window)


def _update(situation: Situation) -> Call:
    named = pointed(situation, "incident")
    return call("what_changed", incident=named, limit=100, **({} if named else times(situation.wish)))


def _side_by_side(situation: Situation) -> Call | None:
    sql = sides_of_update(situation.wish.names, **times(situation.wish))
    return Call("query_telemetry", {"sql": sql}, optional=True) if sql else None


def _at_risk(situation: Situation) -> Call | None:
    incident = incident_of(situation)
    if incident is None and situation.focus.change:
        return call("list_at_risk_devices", change=situation.focus.change)
    listed = situation.turn.payload("list_incidents").get("incidents") or ()
    return call("list_at_risk_devices", incident=incident or (listed[0]["id"] if listed else None))


def _first_incident(situation: Situation) -> Call | None:
    return None if incident_of(situation) or situation.focus.change else call("list_incidents", limit=1)


def _rank(situation: Situation) -> Call:
    names = situation.wish.names
    return call(
        "rank_groups", by=names.group or "store", metric=names.metric, limit=_how_many(situation), **times(situation.wish)
    )


def _how_many(situation: Situation) -> int:
    found = re.search(
        rf"\b(?:(?:worst|top|first|best|bottom|which) ({NUMBER})|({NUMBER}) (?:worst|top|best|most))\b",
        situation.wish.said.lower(),
    )
    return min(int(number(found[1] or found[2])), 200) if found else 10


def _metric_of_device(situation: Situation) -> Call | None:
    names, focus = situation.wish.names, situation.focus
    device = names.device or focus.device
    if names.metric or not device or (device == focus.device and focus.metric):
        return None
    return call("explain_anomaly", device=device)


def _chart(situation: Situation) -> Call | Ask:
    names, focus = situation.wish.names, situation.focus
    device = names.device or focus.device
    explained = situation.turn.payload("explain_anomaly").get("metrics") or [{}]
    metric = names.metric or explained[0].get("metric") or focus.metric
    if not device or not metric:
        return Ask("Which device and which metric shall I chart? For instance: battery of D-1042 for the last 14 days.")
    return call("get_device_timeline", device=device, metric=metric, **times(situation.wish))


def _anomalies(situation: Situation) -> Call:
    names = situation.wish.names
    incident = pointed(situation, "incident")
    if incident is None and "incident" in situation.wish.said.lower():
        incident = incident_of(situation)
    free = not (names.device or names.metric or incident or situation.wish.window)
    device = situation.focus.device if free and "this device" in situation.wish.said.lower() else None
    return call(
        "list_anomalies",
        device=names.device or device,
        metric=names.metric,
        incident=incident,
        limit=50,
        **times(situation.wish),
    )


def _incident(situation: Situation) -> Call | Ask:
    incident = incident_of(situation)
    return (
        call("get_incident", incident=incident) if incident else Ask("Which incident? I can list what needs attention first.")
    )


def _baselines(situation: Situation) -> Call:
    metric = situation.wish.names.metric
    return call("list_baselines", feature=f"{metric}_mean" if metric else None, limit=20)


def _drift(situation: Situation) -> Call:
    return call("check_drift", since=times(situation.wish)["since"])


def _recall(situation: Situation) -> Call:
    focus = situation.focus
    anomaly, incident = pointed(situation, "anomaly"), pointed(situation, "incident")
    if not (anomaly or incident):
        anomaly = focus.anomaly if focus.subject != "incident" else None
        incident = None if anomaly else incident_of(situation)
    if anomaly or incident:
        return call("recall_feedback", anomaly=anomaly, incident=incident)
    return call("recall_feedback", words=situation.wish.said[:500])


def _suggestions(situation: Situation) -> Call:
    said = situation.wish.said.lower()
    words = {"reject": "rejected", "applied": "applied", "expired": "expired", "approved": "approved"}
    waiting = ("pending", "wait", "open", "await", "undecided", "to approve", "to decide", "decide", "sign off")
    status = next((status for word, status in words.items() if word in said), None)
    return call("list_suggestions", status=status or ("pending" if any(word in said for word in waiting) else None))


def suggestion_meant(situation: Situation) -> str | None:
    """The suggestion that is meant: named, pointed to, just made, or spoken of."""
    made = next((m for m in reversed(situation.turn.made) if m.tool.startswith("suggest_")), None)
    fresh = [suggestion_id(each) for each in made.payload.get("suggestions", ())] if made else []
    return pointed(situation, "suggestion") or (fresh[0] if fresh else None) or situation.focus.suggestion


def _preview(situation: Situation) -> Call | Ask:
    suggestion = suggestion_meant(situation)
    if suggestion:
        return call("preview_suggestion", suggestion=suggestion)
    return Ask("Which suggestion? There is none in this conversation yet: I can list the pending ones, or make one.")


def _note(situation: Situation) -> Call:
    listed = situation.turn.payload("list_incidents").get("incidents") or ()
    incident = incident_of(situation) or (listed[0]["id"] if listed else None)
    return call("get_incident", incident=incident) if incident else call("get_overview")


def _worst_incident(situation: Situation) -> Call | None:
    return None if incident_of(situation) else call("list_incidents", limit=1)


def _runs(situation: Situation) -> Call:
    run = situation.wish.names.run
    return call("get_run", run=run) if run else call("list_runs", limit=10)


def _query(situation: Situation) -> Call | Ask:
    sql = situation.wish.names.sql
    return call("query_telemetry", sql=sql) if sql else Ask("Which SELECT shall I run? It goes over the view `telemetry`.")


READING: Mapping[str, Plan] = {
    "attention": (health, _attention),
    "explain": (health, _worst_of_incident, _explain),
    "baseline_detail": (health, _worst_of_incident, _same_anomaly, _its_baseline),
    "confidence": (health, _worst_of_incident, _same_anomaly),
    "peers": (health, _peers),
    "what_changed": (health, _changes),
    "update_effect": (health, _update, _side_by_side),
    "at_risk": (health, _first_incident, _at_risk),
    "rank": (health, _rank),
    "chart": (health, _metric_of_device, _chart),
    "anomalies": (health, _anomalies),
    "incident": (health, _incident),
    "baselines": (health, _baselines),
    "detector": (health, lambda _: call("get_detector")),
    "distribution": (health, lambda _: call("get_score_distribution")),
    "drift": (health, _drift),
    "health": (lambda _: call("check_data_health"), lambda _: Call("check_drift", {"limit": 5}, optional=True)),
    "recall": (health, _recall),
    "suggestions": (_suggestions,),
    "preview": (_preview,),
    "effect": (health, lambda _: call("list_effects")),
    "manager_note": (health, _worst_incident, _note),
    "runs": (_runs,),
    "overview": (lambda _: call("get_overview"),),
    "query": (_query,),
}
