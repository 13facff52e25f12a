"""Chainlit's hooks, each a few lines over a talk."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any

import chainlit as cl
from chainlit.config import config
from chainlit.input_widget import Select, Switch, TextInput
from chainlit.session import WebsocketSession
from chainlit.types import CommandDict, ThreadDict
from pydantic import ValidationError

from chat_ui.actions import ACTIONS, act
from chat_ui.cards.dashboard import QUESTIONS, budget
from chat_ui.client import Refused, Unreachable
from chat_ui.desk import WINDOWS, Desk, Talk
from chat_ui.login import register_login
from chat_ui.screen import STOP, WARNING, button, remove, say
from chat_ui.showing import (
    approval_props,
    explain_incident,
    show_baselines,
    show_dashboard,
    show_device,
    show_finding,
    show_pending,
    show_review,
    show_suggestion,
)
from chat_ui.talking import answer
from chat_ui.uploading import ask_for_file
from chat_ui.words import foreign

_COMMANDS: list[tuple[str, str, str]] = [
    ("review", "Open incidents, worst first, as a table", "list-checks"),
    ("device", "Look into a device: write its name", "smartphone"),
    ("explain", "Explain an anomaly, an incident or a device: write its id or name", "search"),
    ("baselines", "What counts as normal, and since when", "ruler"),
    ("pending", "Suggestions that wait for a decision", "clipboard-check"),
    ("dashboard", "Draw the dashboard anew", "layout-dashboard"),
    ("upload", "Send a telemetry file of yours", "upload"),
]
_AFTER_RESUME = 1.0
_FORGETTING = 60.0
_STORED = 0.3
"""Seconds after which the last step is stored: Chainlit does that in a task of its own."""


def register(desk: Desk) -> None:
    """Register all hooks with Chainlit, over the desk's parts."""
    cl.data_layer(lambda: desk.store)
    register_login(desk)
    _register_offers()
    _register_talk(desk)
    for name in ACTIONS:
        _register_action(desk, name)


def _register_offers() -> None:
    async def profiles(_: cl.User | None) -> list[cl.ChatProfile]:
        return [
            cl.ChatProfile(
                name="operator", markdown_description="What needs attention, and what to do about it.", default=True
            ),
            cl.ChatProfile(name="analyst", markdown_description="The same, with drift and metric domains by store."),
        ]

    async def starters(_: cl.User | None) -> list[cl.Starter]:
        return [cl.Starter(label=each, message=each) for each in QUESTIONS]

    cl.set_chat_profiles(profiles)
    cl.set_starters(starters)


def _register_talk(desk: Desk) -> None:
    async def start() -> None:
        talk = await _begun(desk)
        if talk:
            # not awaited: as long as Chainlit's hook runs the page takes no question, and Enter would do nothing
            talk.draw(_told(_first_sight(desk, talk)))

    async def resume(thread: ThreadDict) -> None:
        await _resumed(desk, thread)

    async def message(said: cl.Message) -> None:
        talk = _talk(desk)
        if talk:
            with talk.work():
                async with talk.answering:
                    await _told(_answered(desk, talk, said))

    async def settings(chosen: dict[str, Any]) -> None:
        talk = _talk(desk)
        if talk:
            await _adjusted(desk, talk, chosen)

    async def end() -> None:
        await _left(desk)

    async def feedback(_: Any) -> None:
        """Thumbs are kept by the thread store; having a hook makes Chainlit show them."""

    cl.on_chat_start(start)
    cl.on_chat_resume(resume)
    cl.on_message(message)
    cl.on_settings_update(settings)
    cl.on_chat_end(end)
    cl.on_feedback(feedback)


async def _resumed(desk: Desk, thread: ThreadDict) -> None:
    """Go on with a stored thread: its history, and its cards as they stand now."""
    had = _talk(desk)
    talk = await _begun(desk)
    if talk is None:
        return
    if talk is had:
        _later(_caught_up(desk, talk, thread["id"]))
        return
    saved = desk.histories.read(thread["id"])
    if saved:
        with contextlib.suppress(ValidationError):  # a history of another release: begin anew
            talk.conversation.resume(saved)
    _later(_cards_anew(desk, talk, thread))


def _register_action(desk: Desk, name: str) -> None:
    async def called(action: cl.Action) -> None:
        talk = _talk(desk)
        if talk:
            with talk.work():
                await _told(act(desk, talk, name, action.payload))

    cl.action_callback(name)(called)


async def _begun(desk: Desk) -> Talk | None:
    """A talk for whoever has logged in, the same if the page was connected before; None, with a word, if nobody knows them."""
    user = cl.user_session.get("user")
    person = desk.people.named(user.identifier) if user else None
    if person is None:
        await say(STOP, "You are not among the people of this chat any more. Log in again.")
        return None
    talk = desk.begin(cl.user_session.get("id") or "", person, cl.user_session.get("chat_profile") or person.profile)
    _expect_back()
    commands: list[CommandDict] = [
        {"id": name, "description": about, "icon": icon, "button": False, "persistent": False, "selected": False}
        for name, about, icon in _COMMANDS
    ]
    await cl.context.emitter.set_commands(commands)
    talk.watch(_watch(desk, talk))
    return talk


async def _ask_rights(talk: Talk) -> None:
    with contextlib.suppress(Refused, Unreachable):  # what it is about to be asked will say so
        talk.scopes = await talk.client.scopes()


def _expect_back() -> None:
    """Have Chainlit tell the page again what it was told, should its connection be lost and come back.

    Whatever is sent meanwhile is lost, and a page may lose its connection while it loads: Chainlit's own connects twice if
    its settings come late. By itself Chainlit would neither start such a session again nor resume it.
    """
    session = cl.context.session
    session.chat_started = False
    session.thread_id_to_resume = session.thread_id


async def _first_sight(desk: Desk, talk: Talk) -> None:
    """The dashboard, and what the person had before them undecided; what was drawn of that before leaves the screen."""
    await _ask_rights(talk)
    talk.offered.redraw.clear()
    await remove(tuple(talk.sight.values()), talk.sight)
    try:
        await show_dashboard(talk)
    except Refused as error:
        if not error.before_ingestion:
            raise
        begin = button("Upload telemetry", "upload", main=True)
        words = "There is no telemetry yet. Send a file of yours, and see what is anomalous in it."
        await say("an-card", words, begin, among=talk.sight)
    else:
        await _offer_again(desk, talk)
    await (await _settings(desk, talk)).send()


async def _offer_again(desk: Desk, talk: Talk) -> None:
    for suggestion in desk.opened.of(talk.person.name):
        if await talk.client.status(suggestion) == "pending":
            await show_suggestion(desk, talk, suggestion, among=talk.sight)
        else:
            desk.opened.remove(talk.person.name, suggestion)


async def _answered(desk: Desk, talk: Talk, said: cl.Message) -> None:
    words = said.content.strip()
    match said.command:
        case "review":
            await show_review(talk)
        case "pending":
            await show_pending(desk, talk)
        case "baselines":
            await show_baselines(talk)
        case "dashboard":
            await show_dashboard(talk)
        case "upload":
            await ask_for_file(talk)
        case "device" if words:
            await show_device(talk, words)
        case "explain" if words.startswith("i-"):
            await explain_incident(talk, words)
        case "explain" if words:
            await show_finding(talk, **({"anomaly": words} if words.startswith("a-") else {"device": words}))
        case "device" | "explain":
            await say(WARNING, "Write its name or id after the command.")
        case _:
            await answer(desk, talk, words)


async def _adjusted(desk: Desk, talk: Talk, chosen: dict[str, Any]) -> None:
    try:
        talk.days = WINDOWS.get(chosen["window"])
        desk.adjust(talk, chosen["model"], chosen["time_zone"], read_only=bool(chosen["read_only"]))
    except ValueError as error:
        await say(WARNING, f"Not changed: {foreign(error, 300)}")
        return
    await _told(show_dashboard(talk))


_ENDINGS = {
    "expired": "has expired undecided: not now, and nothing changes",
    "stale": "is stale: the baselines are others now",
    "gone": "is no longer stored",
}


async def _watch(desk: Desk, talk: Talk) -> None:
    """Close cards that were decided elsewhere, as long as the talk lasts."""
    while True:
        await asyncio.sleep(desk.settings.watch_seconds)
        for suggestion, status in (await talk.offered.close_decided(talk.client)).items():
            words = _ENDINGS.get(status, "was decided elsewhere")
            await say("an-card", f"Suggestion {suggestion} {words}.", button("See it", "open", suggestion=suggestion))


async def _caught_up(desk: Desk, talk: Talk, thread: str) -> None:
    """Show the thread of a talk that goes on as it is stored once nothing is under way.

    Chainlit has read it before, and what came since, over the new connection or none, is not in what it draws.
    """
    await asyncio.sleep(_AFTER_RESUME)
    while _talk(desk) is talk:
        busy, begun = talk.under_way, talk.begun
        await asyncio.sleep(_STORED)
        if busy or talk.begun != begun:
            continue
        whole = await desk.store.get_thread(thread)
        if whole is None:
            return
        if talk.begun == begun:
            await cl.context.emitter.resume_thread(whole)
            await _cards_anew(desk, talk, whole)
            return


async def _cards_anew(desk: Desk, talk: Talk, thread: ThreadDict) -> None:
    """Draw the approval cards of a resumed thread as their suggestions stand now. Later: Chainlit draws the old ones first."""
    await asyncio.sleep(_AFTER_RESUME)
    await _ask_rights(talk)
    talk.offered.redraw.clear()
    await (await _settings(desk, talk)).send()
    for each in thread.get("elements") or []:
        props: Any = each.get("props") or {}
        if each.get("name") != "Approval" or not isinstance(props, dict) or "suggestion" not in props:
            continue
        drawn = cl.CustomElement(
            id=str(each.get("id")), name="Approval", props=props, display="inline", for_id=each.get("forId")
        )

        async def redraw(drawn: cl.CustomElement = drawn, suggestion: str = props["suggestion"]) -> None:
            drawn.props = await approval_props(talk, suggestion)
            await drawn.update()

        await _told(redraw())
        if drawn.props.get("canDecide"):
            talk.offered.add(props["suggestion"], redraw)


async def _told(work: Awaitable[None]) -> None:
    """Do it, and say on the screen what the server refused."""
    try:
        await work
    except Refused as error:
        await say(STOP if error.status >= 500 else WARNING, f"The server says: {foreign(error, 600)}")
    except Unreachable as error:
        await say(STOP, foreign(error, 300))


def _talk(desk: Desk) -> Talk | None:
    return desk.talks.get(cl.user_session.get("id") or "")


async def _settings(desk: Desk, talk: Talk) -> cl.ChatSettings:
    """The settings as they are in this talk."""
    chosen, window = talk.conversation.settings, next(words for words, days in WINDOWS.items() if days == talk.days)
    return cl.ChatSettings(
        [
            Select(id="model", label="Model", values=desk.models, initial_value=chosen.model),
            Select(id="window", label="Window of charts", values=list(WINDOWS), initial_value=window),
            TextInput(id="budget", label="Alert budget (a suggestion changes it)", initial=await _budget(talk), disabled=True),
            TextInput(id="time_zone", label="Time zone", initial=chosen.time_zone, placeholder="Europe/Berlin"),
            Switch(id="read_only", label="Read only: no verdicts, suggestions or decisions", initial=talk.read_only),
        ]
    )


async def _budget(talk: Talk) -> str:
    with contextlib.suppress(Refused, Unreachable):
        return budget(await talk.client.get("/detector"))
    return "not known"


async def _left(desk: Desk) -> None:
    """The page's connection is gone: for good if the page said so, and otherwise until Chainlit has forgotten its session."""
    session = cl.context.session
    if isinstance(session, WebsocketSession) and session.to_clear:
        await desk.end(session.id)
    elif talk := _talk(desk):
        talk.pause()
        _later(_forgotten(desk, session.id))


async def _forgotten(desk: Desk, session: str) -> None:
    """End the talk once Chainlit has forgotten its session: until then the page may come back."""
    await asyncio.sleep(config.project.session_timeout + _FORGETTING)
    if WebsocketSession.get_by_id(session) is None:
        await desk.end(session)


_tasks: set[asyncio.Task[None]] = set()


def _later(work: Any) -> None:
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
