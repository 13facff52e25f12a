"""What buttons do. Their payload comes from a browser; the server decides what of it is allowed."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, time, timedelta
from typing import Any

from chainlit.context import context

from chat_ui.approvals import Said, decide
from chat_ui.client import Refused
from chat_ui.desk import Desk, Talk
from chat_ui.screen import GOOD, WARNING, button, now, say
from chat_ui.showing import explain_incident, show_dashboard, show_finding, show_incident, show_suggested, show_suggestion
from chat_ui.uploading import ask_for_file, walk_upload
from chat_ui.walking import followed
from chat_ui.words import count, foreign, moment, verdict_words

Payload = Mapping[str, Any]
Action = Callable[[Desk, Talk, Payload], Awaitable[None]]
_NEEDED: Mapping[str, str] = {
    **dict.fromkeys(("mark", "suggest", "fewer", "apply", "missed", "report"), "feedback"),
    **dict.fromkeys(("walk", "stop", "upload"), "run"),
    "decide": "approve",
}


async def act(desk: Desk, talk: Talk, name: str, payload: Payload) -> None:
    """Do what a button says, unless the person reads only or is known to lack the right; the server has the last word."""
    refusal = talk.why_not(_NEEDED[name]) if name in _NEEDED else ""
    if refusal:
        await say(WARNING, refusal)
        return
    await ACTIONS[name](desk, talk, payload)


async def _explain(_: Desk, talk: Talk, payload: Payload) -> None:
    if payload.get("incident"):
        await explain_incident(talk, str(payload["incident"]))
    else:
        await show_finding(talk, anomaly=_text(payload, "anomaly"), device=_text(payload, "device"))


async def _incident(_: Desk, talk: Talk, payload: Payload) -> None:
    await show_incident(talk, str(payload["incident"]))


async def _mark(_: Desk, talk: Talk, payload: Payload) -> None:
    verdict = str(payload.get("verdict"))
    receipt = await talk.client.mark(
        verdict,
        anomaly=_text(payload, "anomaly"),
        incident=_text(payload, "incident"),
        note=str(payload.get("note") or ""),
        expires=_end_of_day(payload.get("expires"), talk) if verdict == "expected" else None,
    )
    following = [button("Suggest adjustment", "suggest", main=True)] if verdict == "false_alarm" else []
    rule = receipt.get("rule")
    until = f" The rule ends {moment(rule['until'], talk.zone)}." if rule else ""
    await say(
        GOOD,
        f"{foreign(receipt['summary'], 300).replace(verdict, verdict_words(verdict))}{until} Recorded as {talk.person.name}.",
        *following,
        button("Dashboard", "dashboard"),
    )


async def _missed(_: Desk, talk: Talk, payload: Payload) -> None:
    told = await talk.client.explanation(anomaly=_text(payload, "anomaly"))
    around = datetime.fromisoformat(told["time"])
    values = {
        "device": told["device"],
        "since": (around - timedelta(hours=6)).strftime("%Y-%m-%d %H:%M"),
        "until": (around + timedelta(hours=6)).strftime("%Y-%m-%d %H:%M"),
        "note": "",
    }
    words = {"device": "device", "since": "from (UTC)", "until": "to (UTC)", "note": "what was missed"}
    form = {"values": values, "inputs": [{"name": name, "words": text} for name, text in words.items()]}
    await say("an-card", "What was not flagged, and when?", button("Report it", "report", main=True), form=form)


async def _report(_: Desk, talk: Talk, payload: Payload) -> None:
    since, until = (f"{str(payload[end]).strip().replace(' ', 'T')}:00+00:00" for end in ("since", "until"))
    note, device = str(payload.get("note") or ""), str(payload["device"])
    receipt = await talk.client.post("/feedback/missed", device=device, since=since, until=until, note=note)
    await say(GOOD, f"{foreign(receipt['summary'], 300)} Recorded as {talk.person.name}.")


async def _suggest(desk: Desk, talk: Talk, _: Payload) -> None:
    await show_suggested(desk, talk, await talk.client.post("/suggestions/adjustments"))


async def _fewer(desk: Desk, talk: Talk, _: Payload) -> None:
    await show_suggested(desk, talk, await talk.client.post("/suggestions/settings", direction="fewer"))


async def _open(desk: Desk, talk: Talk, payload: Payload) -> None:
    await show_suggestion(desk, talk, str(payload["suggestion"]))


async def _decide(desk: Desk, talk: Talk, payload: Payload) -> None:
    said = Said.of(payload)
    talk.offered.mine.add(said.suggestion)
    try:
        outcome = await decide(talk.client, said)
    finally:
        await talk.offered.redrawn(said.suggestion)
    name = talk.person.name
    if not outcome.decided:
        await say(WARNING, outcome.words, button("Look again", "open", main=True, suggestion=said.suggestion))
        return
    await say(GOOD if outcome.approved else "an-card", f"{outcome.words} Decided by {name}, suggestion {said.suggestion}.")
    if outcome.approved:
        await _apply(desk, talk, payload)


async def _apply(_: Desk, talk: Talk, payload: Payload) -> None:
    """Carry out an approved suggestion, showing how far it is, then the dashboard anew."""
    suggestion = str(payload["suggestion"])
    run = (await talk.client.get(f"/suggestions/{suggestion}"))["suggestion"]["run"]
    try:
        applied = await followed(talk, run, f"Retraining and re-scoring with {suggestion}", talk.client.apply(suggestion))
    except Refused:
        again = button("Apply it", "apply", main=True, suggestion=suggestion)
        await say(WARNING, "It is approved, and not applied yet.", again)
        raise
    await talk.offered.redrawn(suggestion)
    await say(GOOD, told_of(applied))
    await show_dashboard(talk)


def told_of(applied: Payload) -> str:
    """What applying led to, in words."""
    effect = applied["effect"]
    after = effect["alarms_after"]
    then = f"{after:,}" if after is not None else "not scored yet"
    gone, come = sum(effect["removed"].values()), sum(effect["added"].values())
    rest = f" Still to do: {applied['next_tool']}." if applied["next_tool"] else ""
    return (
        f"Applied: {_versions(applied)}. "
        f"{effect['alarms_before']:,} anomalous rows before, {then} after; {count(gone, 'row')} removed, {come:,} added.{rest}"
    )


def _versions(applied: Payload) -> str:
    before, after = applied["version_before"], applied["version_after"]
    return f"baseline version {before} → {after}" if before != after else f"the baselines stay at version {after}"


async def _stop(_: Desk, talk: Talk, payload: Payload) -> None:
    await say("an-card", foreign((await talk.client.post(f"/runs/{payload['run']}/cancel"))["summary"], 300))


async def _upload(_: Desk, talk: Talk, __: Payload) -> None:
    try:
        await ask_for_file(talk)
    finally:
        # asking begins a task again, which Chainlit ends below a message, not below a button: the page would wait for ever
        await context.emitter.task_end()


async def _walk(_: Desk, talk: Talk, payload: Payload) -> None:
    await walk_upload(talk, str(payload["location"]))


async def _dashboard(_: Desk, talk: Talk, __: Payload) -> None:
    await show_dashboard(talk)


def _text(payload: Payload, name: str) -> str | None:
    return str(payload[name]) if payload.get(name) else None


def _end_of_day(day: Any, talk: Talk) -> str:
    """The end of that day in the person's zone; of tomorrow, if it is no day."""
    try:
        chosen = datetime.fromisoformat(str(day)).date()
    except ValueError:
        chosen = (now().astimezone(talk.zone) + timedelta(days=1)).date()
    return datetime.combine(chosen, time(23, 59), talk.zone).isoformat()


ACTIONS: Mapping[str, Action] = {
    "explain": _explain,
    "incident": _incident,
    "mark": _mark,
    "missed": _missed,
    "report": _report,
    "suggest": _suggest,
    "fewer": _fewer,
    "open": _open,
    "decide": _decide,
    "apply": _apply,
    "stop": _stop,
    "upload": _upload,
    "walk": _walk,
    "dashboard": _dashboard,
}
