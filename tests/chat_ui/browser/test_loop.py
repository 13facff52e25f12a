"""The whole loop in a browser: from an incident to a new baseline version, by clicking, and what a decision survives."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_an_approval_survives_a_reload(watched: Any, chat: Any, served: Any, pending: Callable[[], str]) -> None:
    """The card is offered again after a reload, from the stored suggestion, and nothing was decided meanwhile."""
    suggestion = pending()
    watched.open(chat)
    watched.open_card(suggestion).get_by_text("Your decision").wait_for()
    watched.page.reload()
    card = watched.page.get_by_label(f"Suggestion {suggestion}")
    card.get_by_role("button", name="Approve").wait_for()
    stored = served.get(f"/suggestions/{suggestion}")
    assert stored["status"] == "pending"
    assert card.get_by_text(stored["digest"]).count() == 1


def test_a_denied_approval_is_recorded_and_changes_nothing(
    watched: Any, chat: Any, served: Any, pending: Callable[[], str]
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
    assert card.get_by_role("button", name="Approve").count() == 0


def test_a_card_closes_when_it_is_decided_elsewhere(watched: Any, chat: Any, served: Any, pending: Callable[[], str]) -> None:
    """Somebody decides at another place: the buttons leave this screen."""
    suggestion = pending()
    watched.open(chat)
    watched.open_card(suggestion).get_by_text("Your decision").wait_for()
    digest = served.get(f"/suggestions/{suggestion}")["digest"]
    served.post(f"/suggestions/{suggestion}/decision", approved=False, digest=digest, reason="elsewhere")
    card = watched.page.get_by_label(f"Suggestion {suggestion}")
    card.get_by_text("Rejected by boss").wait_for()
    assert card.get_by_role("button", name="Approve").count() == 0


def test_the_loop_by_clicking(watched: Any, chat: Any, served: Any) -> None:
    """Explain, mark, suggest, preview, approve: a new version is in force, and a new dashboard shows it."""
    page = watched.page
    before = served.get("/overview")["baseline"]["version"]
    served.mark_new_normal()
    watched.open(chat)
    page.locator(".an-row").get_by_role("button", name="Explain").first.click()
    page.get_by_text("What do you say?").wait_for()
    page.get_by_role("button", name="False alarm").click()
    page.get_by_label("Why").fill("new scanning app")
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_text("Recorded as boss").wait_for()
    page.get_by_role("button", name="Suggest adjustment").last.click()
    card = page.get_by_label("Suggestion s-").first
    card.get_by_role("button", name="Approve").wait_for()
    assert card.get_by_text("Hidden true ones").count() == 1
    card.get_by_label("Reason").fill("the app is here to stay")
    card.get_by_role("button", name="Approve").click()
    page.get_by_text(f"Applied: baseline version {before} → {before + 1}").wait_for()
    page.get_by_text(f"version {before + 1},").first.wait_for()
    overview = served.get("/overview")
    assert overview["baseline"]["version"] == before + 1
    shown = page.locator(".an-tile", has_text="Anomalous rows").last.locator("b").inner_text()
    assert shown == f"{overview['detector']['flagged']['count']:,}"


def test_a_thread_is_resumed_with_its_charts(watched: Any, chat: Any) -> None:
    """An answer with a chart is opened again from the list of threads: words and chart are there."""
    page = watched.page
    watched.open(chat)
    watched.ask("Show me the worst 10 stores")
    page.get_by_role("heading", name="Groups by store").wait_for()
    page.locator(".js-plotly-plot").last.wait_for()
    thread = page.url
    assert "/thread/" in thread
    page.goto(chat.url)
    page.get_by_text("Open incidents, worst first").wait_for()
    page.goto(thread)
    page.get_by_role("heading", name="Groups by store").wait_for()
    page.locator(".js-plotly-plot .main-svg").last.wait_for()
