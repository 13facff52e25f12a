"""What is drawn below an answer: the agent's calls, asked again over HTTP, so that a chart holds what is persisted."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from agent.offline.thread import Made
from chat_ui.charts.device import peers, timeline
from chat_ui.charts.history import anomalies_by_day, drift, severities
from chat_ui.desk import Desk, Talk
from chat_ui.screen import button, charts, say, sheet, show
from chat_ui.showing import show_baselines, show_dashboard, show_finding, show_ranking, show_suggestion
from chat_ui.words import foreign, moment

_SUGGESTION = re.compile(r"\bs-[0-9a-f]{10}\b")
_MOST = 3
Drawing = Callable[[Desk, Talk, Made], Awaitable[None]]


async def draw(desk: Desk, talk: Talk, calls: Sequence[Made]) -> None:
    """Draw what the calls that were not refused asked for, each tool's last call once."""
    last = {call.tool: call for call in calls if not call.refusal}
    for tool, call in last.items():
        if tool in _DRAWINGS:
            await _DRAWINGS[tool](desk, talk, call)


def suggestions_in(payload: Mapping[str, Any]) -> list[str]:
    """Ids of suggestions that an answer names, in its order."""
    return list(dict.fromkeys(_SUGGESTION.findall(json.dumps(payload, default=str))))


def _args(call: Made, *names: str) -> dict[str, Any]:
    return {name: call.args.get(name) for name in names}


async def _timeline(_: Desk, talk: Talk, call: Made) -> None:
    args = _args(call, "device", "metric", "since", "until")
    await show(*charts(timeline(await talk.client.timeline(**args))))


async def _peers(_: Desk, talk: Talk, call: Made) -> None:
    device = call.args["device"]
    shown = await talk.client.get(f"/devices/{device}/peers", **_args(call, "metric", "since", "until"))
    await show(*charts(peers(shown)))


async def _ranking(_: Desk, talk: Talk, call: Made) -> None:
    await show_ranking(talk, _args(call, "by", "metric", "since", "until", "limit"))


async def _explanation(_: Desk, talk: Talk, call: Made) -> None:
    named = call.payload.get("anomaly")
    if isinstance(named, str) and named:
        await show_finding(talk, anomaly=named)


async def _incidents(_: Desk, __: Talk, call: Made) -> None:
    listed = call.payload.get("incidents") or []
    first = [button(f"Explain {foreign(each['title'], 48)}", "explain", incident=each["id"]) for each in listed[:_MOST]]
    if first:
        await say("an-card", "Look into one:", *first)


async def _scores(_: Desk, talk: Talk, __: Made) -> None:
    await show(*charts(severities(await talk.client.get("/scores"))))


async def _drift(_: Desk, talk: Talk, call: Made) -> None:
    await show(*charts(drift(await talk.client.get("/drift", **_args(call, "since")))))


async def _overview(_: Desk, talk: Talk, __: Made) -> None:
    await show(*charts(anomalies_by_day(await talk.client.overview())))


async def _suggestions(desk: Desk, talk: Talk, call: Made) -> None:
    for suggestion in suggestions_in({**call.args, **call.payload})[:_MOST]:
        await show_suggestion(desk, talk, suggestion)


async def _marked(_: Desk, __: Talk, call: Made) -> None:
    if call.args.get("verdict") == "false_alarm":
        await say("an-good", "Recorded. No baseline has changed.", button("Suggest adjustment", "suggest", main=True))


async def _applied(_: Desk, talk: Talk, __: Made) -> None:
    await show_dashboard(talk)


async def _baselines(_: Desk, talk: Talk, __: Made) -> None:
    await show_baselines(talk)


async def _at_risk(_: Desk, talk: Talk, call: Made) -> None:
    shown = await talk.client.get("/at-risk", **_args(call, "incident", "change"), limit=200)
    rows = [
        (
            foreign(each["device"], 60),
            foreign(each["cohort"], 60),
            foreign(each["site"], 60),
            moment(each["exposed_since"], talk.zone),
        )
        for each in shown["devices"]
    ]
    if rows:
        await sheet(
            "Exposed, not yet affected",
            f"{len(rows)} of {shown['total']:,}",
            ("device", "cohort", "site", "since"),
            rows,
            "at-risk",
        )


async def _query(_: Desk, __: Talk, call: Made) -> None:
    rows = [[foreign(value) if isinstance(value, str) else value for value in row] for row in call.payload.get("rows", ())]
    if rows:
        await sheet("Rows", f"{len(rows)} rows", [foreign(name, 40) for name in call.payload["columns"]], rows, "rows")


_DRAWINGS: Mapping[str, Drawing] = {
    "get_device_timeline": _timeline,
    "compare_device_with_peers": _peers,
    "rank_groups": _ranking,
    "explain_anomaly": _explanation,
    "list_incidents": _incidents,
    "get_score_distribution": _scores,
    "check_drift": _drift,
    "get_overview": _overview,
    "suggest_baseline_adjustments": _suggestions,
    "suggest_detector_settings": _suggestions,
    "suggest_rollback": _suggestions,
    "preview_suggestion": _suggestions,
    "record_feedback": _marked,
    "apply_feedback": _applied,
    "list_baselines": _baselines,
    "list_at_risk_devices": _at_risk,
    "query_telemetry": _query,
}
