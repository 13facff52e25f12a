"""Plans for wishes that store, draft or start something. Each acts only on what the person clearly means."""

import re
from collections.abc import Mapping
from dataclasses import replace

from agent.offline.reading_plans import health, suggestion_meant
from agent.offline.steps import Ask, Call, Plan, Situation, Step, call, pointed, times

_WHICH = Ask(
    "Which one do you mean? Name an anomaly or an incident (its id, or its place in the list shown), "
    "and I record your verdict on it."
)
_PER_DAY = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:alerts?|anomalies|alarms)?\s*(?:a|per|each|every)\s*day|(\d+) (?:alerts? )?daily", re.IGNORECASE
)
_SHARE = re.compile(
    r"contamination\D{0,20}(0?\.\d+)|(0?\.\d+) contamination|contamination\D{0,20}(\d+(?:\.\d+)?)\s?%", re.IGNORECASE
)
_MORE = re.compile(
    r"\b(more sensitive|stricter|more anomalies|see more|miss too much|increase|turn .{0,20}up|sensitivity up)\b", re.IGNORECASE
)
_STAGES = (
    ("compute_baselines", r"baseline"),
    ("train_detector", r"train|fit |learn again"),
    ("score_telemetry", r"scor"),
    ("persist_anomalies", r"persist"),
    ("engineer_features", r"engineer|features"),
)


def _verdict(verdict: str) -> Step:
    def record(situation: Situation) -> Call | Ask:
        subject = _judged(situation)
        if not subject:
            return _WHICH
        wish = situation.wish
        expires = wish.expires.isoformat() if verdict == "expected" and wish.expires else None
        return call("record_feedback", verdict=verdict, note=wish.said[:2000], expires=expires, **subject)

    return record


def _judged(situation: Situation) -> dict[str, str]:
    """What a verdict is about: named, pointed to, or what was shown last. A list is not one thing: then it must be said."""
    for kind in ("anomaly", "incident"):
        if found := pointed(situation, kind):
            return {kind: found}
    focus, names = situation.focus, situation.wish.names
    if names.device and names.device != focus.device:
        return {}
    if focus.subject == "anomaly" and focus.anomaly:
        return {"anomaly": focus.anomaly}
    return {"incident": focus.incident} if focus.subject == "incident" and focus.incident else {}


def _missed(situation: Situation) -> Call | Ask:
    wish, names = situation.wish, situation.wish.names
    if not (names.device or names.store):
        return Ask("Which device or which store was in trouble, and when?")
    window = wish.window
    if window is None or window.since is None:
        return Ask(f"When was the trouble at {names.device or names.store}? For instance: Tuesday 14:00.")
    stated = replace(window, until=window.until or situation.now)
    store = None if names.device else names.store
    return call(
        "report_missed",
        device=names.device,
        store=store,
        metric=names.metric,
        note=wish.said[:2000],
        **times(replace(wish, window=stated)),
    )


def _fix(situation: Situation) -> Call:
    names = situation.wish.names
    return call("suggest_baseline_adjustments", device=names.device, metric=names.metric, cohort=names.cohort)


def _what_to_judge(situation: Situation) -> Call | None:
    """How many anomalies there are to judge, where no verdict speaks for a change yet."""
    names = situation.wish.names
    if situation.turn.payload("suggest_baseline_adjustments").get("suggestions"):
        return None
    return Call(
        "rank_groups", {"by": "ModelId", "limit": 50, **({"metric": names.metric} if names.metric else {})}, optional=True
    )


def _tune(situation: Situation) -> Call:
    said = situation.wish.said
    daily, share = _PER_DAY.search(said), _SHARE.search(said)
    if share:
        whole = float(share[3]) / 100 if share[3] else float(share[1] or share[2])
        return call("suggest_detector_settings", contamination=whole)
    if daily:
        return call("suggest_detector_settings", alerts_per_day=float(daily[1] or daily[2]))
    return call("suggest_detector_settings", direction="more" if _MORE.search(said) else "fewer")


def _rollback(situation: Situation) -> Call:
    found = re.search(r"\b(?:version|v) ?(\d{1,6})\b", situation.wish.said, re.IGNORECASE)
    return call("suggest_rollback", to_version=int(found[1]) if found else None)


def _preview_of_new(situation: Situation) -> Call | None:
    made = next((m for m in reversed(situation.turn.made) if m.tool.startswith("suggest_")), None)
    if made is None or not made.payload.get("suggestions"):
        return None
    return call("preview_suggestion", suggestion=suggestion_meant(situation))


def _apply(situation: Situation) -> Call | Ask:
    suggestion = suggestion_meant(situation)
    if suggestion:
        return call("apply_feedback", suggestion=suggestion)
    return Ask("There is no suggestion in this conversation. Name one; I can list those that a person has approved.")


def _newest_run(situation: Situation) -> Call | None:
    return None if situation.wish.names.run else call("list_runs", limit=1)


def run_meant(situation: Situation) -> str | None:
    """The run that is meant: named, else the newest that the server lists."""
    listed = situation.turn.payload("list_runs").get("runs") or ()
    return situation.wish.names.run or (listed[0]["run"] if listed else None)


def _stage(situation: Situation) -> Call | Ask:
    run = run_meant(situation)
    if run is None:
        return Ask("There is no run yet. Which telemetry shall I ingest? Name a file or folder that the server can read.")
    said = situation.wish.said.lower()
    tool = next((tool for tool, _ in _STAGES if tool in said), None)
    tool = tool or next((tool for tool, words in _STAGES if re.search(words, said)), "advance_run")
    return call(tool, run=run)


def _ingest(situation: Situation) -> Call | Ask:
    path = situation.wish.names.path
    return (
        call("ingest_telemetry", location=path)
        if path
        else Ask("Which file shall I ingest? Name its place on the server's machine.")
    )


def _walk_on(situation: Situation) -> Call | None:
    run = situation.turn.payload("ingest_telemetry").get("run")
    return call("advance_run", run=run) if run else None


def _cancel(situation: Situation) -> Call | Ask:
    run = situation.wish.names.run
    return call("cancel_run", run=run) if run else Ask("Which run shall be stopped? Name it; I can list the runs.")


CHANGES: Mapping[str, Plan] = {
    "false_alarm": (_verdict("false_alarm"),),
    "expected": (_verdict("expected"),),
    "real": (_verdict("true"),),
    "missed": (_missed,),
    "fix": (health, _fix, _preview_of_new, _what_to_judge),
    "tune": (health, _tune, _preview_of_new),
    "rollback": (_rollback, _preview_of_new),
    "apply": (_apply,),
    "stage": (_newest_run, _stage),
    "ingest": (_ingest, _walk_on),
    "cancel": (_cancel,),
}
