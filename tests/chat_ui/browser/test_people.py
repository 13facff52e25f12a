"""Several people at one chat: who is let in, who may decide, and what happens when two do at once."""

import re
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_nobody_is_let_in_without_the_right_password(watched: Any, office: Any) -> None:
    """A wrong password shows nothing of the fleet; the right one opens the dashboard, under the person's name."""
    watched.log_in(office, "olga", "guess")
    watched.page.locator("button[type=submit]").wait_for()
    watched.page.get_by_text("credentials", exact=False).first.wait_for()
    assert watched.page.get_by_text("Open incidents, worst first").count() == 0
    watched.log_in(office, "olga", "olgaolga")
    watched.page.get_by_text("Open incidents, worst first").wait_for()
    cookies = {each["name"]: each for each in watched.page.context.cookies()}
    assert (cookies["access_token"]["httpOnly"], cookies["access_token"]["sameSite"]) == (True, "Strict")


def test_an_operator_looks_and_does_not_decide(
    watched: Any, office: Any, served: Any, pending: Callable[[], str], expect: Any
) -> None:
    """Without the scope `approve` the card says whose it is not, offers no button, and nothing is recorded."""
    suggestion = pending()
    watched.log_in(office, "olga", "olgaolga")
    watched.page.get_by_text("Open incidents, worst first").wait_for()
    card = watched.open_card(suggestion)
    card.get_by_text("olga lacks the right to decide").wait_for()
    watched.shot("operator")
    expect(card.get_by_role("button", name="Approve")).to_have_count(0)
    expect(card.get_by_role("button", name="Reject")).to_have_count(0)
    assert served.get(f"/suggestions/{suggestion}")["status"] == "pending"


def test_a_reader_cannot_mark(watched: Any, office: Any, expect: Any) -> None:
    """Without the scope `feedback` the buttons of a finding are off, and it says why."""
    watched.log_in(office, "rea", "rearea")
    watched.explain()
    watched.page.get_by_text("rea lacks the right to mark or suggest").wait_for()
    expect(watched.page.get_by_role("button", name="False alarm")).to_be_disabled()


def test_of_two_who_approve_at_once_one_wins(
    browsing: Callable[..., Any], office: Any, served: Any, pending: Callable[[], str], expect: Any
) -> None:
    """One decision and one version come of it; the other's card closes with what was decided, and by whom."""
    suggestion, before = pending(), served.get("/overview")["detector"]["version"]["version"]
    cards: dict[str, Any] = {}
    for name in ("boss", "ann"):
        browser = browsing()
        browser.log_in(office, name, name * 2)
        browser.page.get_by_text("Open incidents, worst first").wait_for()
        cards[name] = browser.open_card(suggestion)
        cards[name].get_by_role("button", name="Approve").wait_for()
    for card in cards.values():
        card.get_by_role("button", name="Approve").evaluate("button => button.click()")
    for card in cards.values():
        card.get_by_text("Approved by").first.wait_for(timeout=60_000)
        expect(card.get_by_role("button", name="Approve")).to_have_count(0)
    for _ in range(100):
        stored = served.get(f"/suggestions/{suggestion}")
        if stored["status"] == "applied":
            break
        cards["boss"].page.wait_for_timeout(200)
    winner = stored["decision"]["by"]
    assert winner in cards
    for card in cards.values():
        expect(card.get_by_text(f"Approved by {winner}")).to_have_count(1)
    approvals = [
        each for each in served.get("/audit", limit=200)["entries"] if suggestion in str(each) and each["action"] == "approve"
    ]
    assert len(approvals) == 1
    for _ in range(100):
        detector = served.get("/overview")["detector"]
        if detector is not None:  # there is none while the run trains
            break
        cards["boss"].page.wait_for_timeout(200)
    assert detector["version"]["version"] == before + 1
    (loser,) = {"boss", "ann"} - {winner}
    page = cards[loser].page
    # by what came first: the click, the news that the other had decided, or the end of patience with a busy server
    told = "Nothing was recorded|The server says|was decided elsewhere|does not answer"
    page.get_by_text(re.compile(told)).first.wait_for()
