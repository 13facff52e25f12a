"""What is shown for each subject: asked from the server, drawn on the screen."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import plotly.graph_objects as go
from chainlit import Message

from chat_ui.cards.dashboard import dashboard, grounds, incident_rows
from chat_ui.cards.finding import finding
from chat_ui.cards.suggestion import approval, title_of
from chat_ui.charts.device import against_baseline, timeline
from chat_ui.charts.groups import domains_by_group, incident_spread, ranking
from chat_ui.charts.history import anomalies_by_day, drift, severities
from chat_ui.charts.preview import by_day, by_verdict
from chat_ui.client import Refused
from chat_ui.desk import Desk, Talk
from chat_ui.screen import WARNING, add, button, card, charts, now, remove, say, sheet, show
from chat_ui.words import count, feature_words, foreign, moment, sentence, span

Payload = Mapping[str, Any]
_MOST_CARDS = 3
_DAYS_AROUND = 7


async def show_dashboard(talk: Talk) -> None:
    """The dashboard, drawn from what is persisted; an earlier one leaves the screen."""
    overview = await talk.client.overview()
    before = tuple(talk.dashboard.values())
    first = await show(card("Dashboard", dashboard(overview, talk.zone, again=bool(before))), among=talk.dashboard)
    await show(card("Grounds", grounds(overview, talk.zone)), among=talk.dashboard)
    await remove(before, talk.dashboard)
    if not overview["run"]:
        return
    # numbers first: the charts below the first card come when they are there
    await add(first, *charts(anomalies_by_day(overview, talk.days)))
    await add(first, *charts(*await _dashboard_charts(talk, overview["telemetry_until"])))


async def _dashboard_charts(talk: Talk, until: str) -> list[go.Figure]:
    if talk.profile != "analyst":
        return [severities(await talk.client.get("/scores"))]
    scores, moved, heat = await asyncio.gather(
        talk.client.get("/scores"), talk.client.get("/drift"), domain_heat(talk, since=_since(talk, until))
    )
    return [severities(scores), heat, drift(moved)]


def _since(talk: Talk, until: str) -> str | None:
    """Where the window of charts begins that the person chose; None if it is all there is."""
    return (datetime.fromisoformat(until) - timedelta(days=talk.days)).isoformat() if talk.days else None


async def domain_heat(talk: Talk, by: str = "store", since: str | None = None) -> go.Figure:
    """Which metric domain troubles which group."""
    metrics = (await talk.client.get("/metrics"))["metrics"]
    names = [each["name"] for each in metrics]
    told = await asyncio.gather(*(talk.client.get("/groups", by=by, metric=name, limit=50, since=since) for name in names))
    return domains_by_group(zip(names, told, strict=True), {each["name"]: each["domain"] for each in metrics})


async def show_finding(talk: Talk, *, anomaly: str | None = None, device: str | None = None) -> None:
    """One anomaly explained, with its strongest metric through time, and the buttons to judge it."""
    told = await talk.client.explanation(anomaly=anomaly, device=device)
    inside = (await talk.client.get(f"/incidents/{told['incident']}"))["incident"]["anomalies"] if told["incident"] else 0
    figures: list[go.Figure] = []
    if told["metrics"]:
        shown = await _around(talk, told)
        figures = [timeline(shown), against_baseline(shown, told["time"])]
    props = finding(told, now(), talk.zone, in_incident=inside, blocked=talk.why_not("feedback"))
    await show(card("Finding", props), *charts(*figures))


async def _around(talk: Talk, told: Payload) -> Payload:
    """The strongest metric in the days around an explained anomaly."""
    time = datetime.fromisoformat(told["time"])
    since, until = ((time + timedelta(days=days)).isoformat() for days in (-_DAYS_AROUND, _DAYS_AROUND))
    return await talk.client.timeline(told["device"], told["metrics"][0]["metric"], since, until)


async def explain_incident(talk: Talk, incident: str) -> None:
    """The incident's worst anomaly explained."""
    worst = (await talk.client.get("/anomalies", incident=incident, limit=1))["anomalies"]
    if not worst:
        # an incident of devices that fell silent has no row that could be anomalous
        await show_incident(talk, incident)
        return
    await show_finding(talk, anomaly=worst[0]["id"])


async def show_incident(talk: Talk, incident: str) -> None:
    """An incident's spread over devices and time, what was changed before it, and its worst anomalies."""
    detail, anomalies, changes = await asyncio.gather(
        talk.client.get(f"/incidents/{incident}"),
        talk.client.get("/anomalies", incident=incident, limit=500),
        talk.client.get("/changes", incident=incident, limit=5),
    )
    whole = detail["incident"]
    told = [f"{foreign(each['words'], 240)}" for each in changes["changes"][:3]] or [foreign(changes["summary"], 240)]
    buttons = [button("Explain its worst anomaly", "explain", main=True, incident=whole["id"])] if anomalies["total"] else []
    buttons += [button(f"Explain {foreign(name, 30)}", "explain", device=name) for name in whole["device_examples"][:3]]
    text = f"{foreign(detail['summary'], 400)} {' '.join(told)}"
    spread = [incident_spread(anomalies, foreign(whole["title"], 100))] if anomalies["total"] else []
    await show(card("Said", {"tone": "an-card", "text": text, "buttons": buttons, "form": None}), *charts(*spread))


async def show_suggestion(desk: Desk, talk: Talk, suggestion: str, among: dict[str, Message] | None = None) -> None:
    """The approval card, from the stored suggestion, with before and after; watched until it is decided, here or elsewhere."""
    standing = await talk.client.standing(suggestion)
    drawn = card("Approval", await _approval(talk, standing))
    await show(drawn, *charts(*_before_and_after(standing["preview"])), among=among)
    if standing["status"] != "pending":
        return

    async def redraw() -> None:
        drawn.props = await approval_props(talk, suggestion)
        await drawn.update()
        desk.opened.remove(talk.person.name, suggestion)

    talk.offered.add(suggestion, redraw)
    desk.opened.add(talk.person.name, suggestion)


async def approval_props(talk: Talk, suggestion: str) -> dict[str, Any]:
    """Props of the approval card, of the suggestion as it stands now."""
    return await _approval(talk, await talk.client.standing(suggestion))


async def _approval(talk: Talk, standing: Payload) -> dict[str, Any]:
    in_force = await _settings_in_force(talk) if standing["suggestion"]["settings"] else None
    return approval(standing, talk.person.name, talk.zone, in_force=in_force, refusal=talk.why_not("approve"))


async def _settings_in_force(talk: Talk) -> Payload | None:
    """The detector's settings now; None while there is no detector, as when a run trains another one."""
    try:
        return (await talk.client.get("/detector"))["settings"]
    except Refused as error:
        if error.status not in {404, 409}:
            raise
        return None


def _before_and_after(preview: Payload | None) -> list[go.Figure]:
    if preview is None:
        return []
    return [by_day(preview), by_verdict(preview)] if preview["removed"] or preview["added"] else [by_day(preview)]


async def show_suggested(desk: Desk, talk: Talk, suggested: Payload) -> None:
    """What was suggested, a card each for the first three, and why others were refused."""
    found = [each["suggestion"] for each in suggested["suggestions"]]
    for each in found[:_MOST_CARDS]:
        await show_suggestion(desk, talk, each["id"])
    if len(found) > _MOST_CARDS:
        rest = [button(title_of(each)[:60], "open", suggestion=each["id"]) for each in found[_MOST_CARDS : _MOST_CARDS + 6]]
        await say("an-card", f"{count(len(found) - _MOST_CARDS, 'more suggestion')}. All are under /pending.", *rest)
    if not found:
        reasons = list(dict.fromkeys(sentence(foreign(each["reason"], 300)) for each in suggested["refused"]))[:3]
        await say(
            WARNING,
            f"Nothing to suggest yet. {' '.join(reasons) or foreign(suggested['summary'], 300)}",
            button("Suggest fewer anomalies", "fewer"),
        )


async def show_pending(desk: Desk, talk: Talk) -> None:
    """The newest suggestion that waits, and the others as buttons."""
    page = await talk.client.get("/suggestions", status="pending", limit=20)
    waiting = [each["suggestion"] for each in page["suggestions"]]
    if not waiting:
        await say("an-card", "Nothing waits for a decision.")
        return
    await show_suggestion(desk, talk, waiting[0]["id"])
    if len(waiting) > 1:
        others = [button(title_of(each)[:60], "open", suggestion=each["id"]) for each in waiting[1:9]]
        await say("an-card", f"{page['total'] - 1:,} more to decide.", *others)


async def show_review(talk: Talk) -> None:
    """All open incidents as a table, and the first three to explain."""
    page = await talk.client.get("/incidents", limit=100)
    columns = ("severity", "incident", "devices", "in scope", "anomalies", "from", "to", "id")
    note = f"{len(page['incidents'])} of {page['total']:,}, {page['muted_left_out']:,} muted left out"
    await sheet("Open incidents", note, columns, incident_rows(page, talk.zone), "incidents")
    first = [button(f"Explain {foreign(each['title'], 50)}", "explain", incident=each["id"]) for each in page["incidents"][:3]]
    if first:
        await say("an-card", "Where to begin:", *first)


async def show_device(talk: Talk, device: str, metric: str | None = None) -> None:
    """A device: its worst anomaly explained, or where none is stored its metric against its peers."""
    try:
        await show_finding(talk, device=device)
    except Refused as error:
        if error.status != 404:
            raise
        named = metric or (await talk.client.get("/metrics"))["metrics"][0]["name"]
        until = (await talk.client.get("/health"))["telemetry_until"] if talk.days else ""
        shown = await talk.client.timeline(device, named, _since(talk, until))
        await show(*charts(timeline(shown)), words="")


async def show_ranking(talk: Talk, asked: Mapping[str, Any]) -> None:
    """Groups, worst first, as a chart and a table."""
    shown = await talk.client.get("/groups", **asked)
    rows = [
        (
            each["group"],
            each["anomalies"],
            each["rows"],
            round(100 * each["rate"], 3),
            each["affected"],
            each["devices"],
            each["worst_metric"],
        )
        for each in shown["groups"]
    ]
    columns = (shown["by"], "anomalies", "rows", "rate in percent", "devices affected", "devices", "worst metric")
    await show(*charts(ranking(shown)))
    await sheet(f"Groups by {shown['by']}", span(shown["window"], talk.zone), columns, rows, "groups")


async def show_baselines(talk: Talk) -> None:
    """The version in force, its adjustments, and its widest baselines."""
    page = await talk.client.get("/baselines", limit=200)
    version = page["version"]
    rows = [
        (
            each["level"],
            foreign(each["group"], 60) or "fleet",
            feature_words(each["feature"]),
            round(each["median"], 4),
            round(each["scale"], 4),
            each["n"],
        )
        for each in page["baselines"]
    ]
    note = f"version {version['version']} of {moment(version['created'], talk.zone)}, {len(page['adjustments'])} adjustments"
    await sheet("Baselines", note, ("level", "group", "feature", "median", "scale", "n"), rows, "baselines")
