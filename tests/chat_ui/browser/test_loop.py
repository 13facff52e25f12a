"""The whole loop in a browser: from an incident to a new baseline version, by clicking, and what a decision survives."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_an_approval_survives_a_reload(watched: Any, chat: Any, served: Any, pending: Callable[[], str], expect: Any) -> None:
    """The card is offered again after a reload, from the stored suggestion, and nothing was decided meanwhile."""
    suggestion = pending()
    watched.open(chat)
    watched.open_card(suggestion).get_by_text("Your decision").wait_for()
    watched.page.reload()
    card = watched.page.get_by_label(f"Suggestion {suggestion}")
    card.get_by_role("button", name="Approve").wait_for()
    stored = served.get(f"/suggestions/{suggestion}")
    assert stored["status"] == "pending"
    expect(card.get_by_text(stored["digest"])).to_have_count(1)


def test_a_denied_approval_is_recorded_and_changes_nothing(
    watched: Any, chat: Any, served: Any, pending: Callable[[], str], expect: Any
) -> None:
    """Reject with a reason: the person and the reason are stored, the version is the same, the card is closed."""
    suggestion = pending()
    before = served.get("/overview")["baseline"]["version"]
    watched.open(chat)
    watched.open_card(suggestion).get_by_text("Your decision").wait_for()
    card = watched.page.get_by_label(f"Suggestion {suggestion}")
    card.get_by_label("Reason").fill("not this week")
    card.get_by_role("button", name="Reject").click()
    card.get_by_text("Rejected by boss").wait_for()
    stored = served.get(f"/suggestions/{suggestion}")
    assert (stored["status"], stored["decision"]["by"], stored["decision"]["reason"]) == ("rejected", "boss", "not this week")
    assert served.get("/overview")["baseline"]["version"] == before
    expect(card.get_by_role("button", name="Approve")).to_have_count(0)


def test_a_card_closes_when_it_is_decided_elsewhere(
    watched: Any, chat: Any, served: Any, pending: Callable[[], str], expect: Any
) -> None:
    """Somebody decides at another place: the buttons leave this screen."""
    suggestion = pending()
    watched.open(chat)
    watched.open_card(suggestion).get_by_text("Your decision").wait_for()
    digest = served.get(f"/suggestions/{suggestion}")["digest"]
    served.post(f"/suggestions/{suggestion}/decision", approved=False, digest=digest, reason="elsewhere")
    card = watched.page.get_by_label(f"Suggestion {suggestion}")
    card.get_by_text("Rejected by boss").wait_for()
    expect(card.get_by_role("button", name="Approve")).to_have_count(0)


def test_the_loop_by_clicking(watched: Any, chat: Any, served: Any, expect: Any) -> None:
    """Explain, mark, suggest, preview, approve: a new version is in force, and a new dashboard shows it."""
    page = watched.page
    before = served.get("/overview")["baseline"]["version"]
    served.mark_new_normal()
    watched.open(chat)
    watched.explain()
    page.get_by_role("button", name="False alarm").click()
    page.get_by_label("Why").fill("new scanning app")
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_text("Recorded as boss").wait_for()
    page.get_by_role("button", name="Suggest adjustment").last.click()
    card = page.get_by_label("Suggestion s-").first
    card.get_by_role("button", name="Approve").wait_for()
    expect(card.get_by_text("Hidden true ones")).to_have_count(1)
    card.get_by_label("Reason").fill("the app is here to stay")
    card.get_by_role("button", name="Approve").click()
    page.get_by_text(f"Applied: baseline version {before} → {before + 1}").wait_for()
    page.get_by_text(f"version {before + 1},").first.wait_for()
    overview = served.get("/overview")
    assert overview["baseline"]["version"] == before + 1
    tile = page.locator(".an-tile", has_text="Anomalous rows").last.locator("b")
    expect(tile).to_have_text(f"{overview['detector']['flagged']['count']:,}")


def test_a_thread_is_resumed_with_its_charts(watched: Any, chat: Any) -> None:
    """An answer with a chart is opened again from the list of threads: words and chart are there."""
    page = watched.page
    watched.open(chat)
    watched.ask("Show me the worst 10 stores")
    page.get_by_role("heading", name="Groups by store").wait_for()
    page.locator(".js-plotly-plot").last.wait_for()
    watched.in_thread()
    thread = page.url
    page.goto(chat.url)
    page.get_by_text("Open incidents, worst first").wait_for()
    page.goto(thread)
    page.get_by_role("heading", name="Groups by store").wait_for()
    page.locator(".js-plotly-plot .main-svg").last.wait_for()


def test_an_acceptance_is_of_the_preview_that_was_seen(
    watched: Any, home: Path, serving: Any, chatting: Any, tmp_path: Path, expect: Any
) -> None:
    """A verdict that comes meanwhile changes the preview: nothing is recorded, the box is empty again, the reason is kept."""
    shutil.copytree(home, tmp_path / "home")
    with serving(tmp_path / "home") as own:
        asked = own.post("/suggestions/settings", contamination=0.01)["suggestions"][0]
        suggestion = asked["suggestion"]["id"]
        goes = own.get(f"/suggestions/{suggestion}/preview")["removed_examples"]
        own.post("/feedback", verdict="true", anomaly=goes[0]["anomaly"])
        boss = {"ANOMALYST_TOKEN": own.token, "ANOMALYST_USER": "boss"}
        with chatting(own, tmp_path / "chat", **boss) as chat:
            watched.open(chat)
            card = watched.open_card(suggestion)
            box, approve = card.get_by_role("checkbox").first, card.get_by_role("button", name="Approve")
            box.check()
            card.get_by_label("Reason").fill("known, and wanted")
            expect(approve).to_be_enabled()
            own.post("/feedback", verdict="true", anomaly=goes[1]["anomaly"])
            approve.click()
            watched.page.get_by_text("has changed since the card was drawn").wait_for()
            expect(box).not_to_be_checked()
            expect(approve).to_be_disabled()
            expect(card.get_by_label("Reason")).to_have_value("known, and wanted")
        assert own.get(f"/suggestions/{suggestion}")["status"] == "pending"
