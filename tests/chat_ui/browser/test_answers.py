"""An answer as it comes: in few pieces, and whatever the model does."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_an_answer_comes_in_few_pieces(watched: Any, chat: Any) -> None:
    """The offline model has all its words at once: sent one by one, the page would be busy for seconds drawing them."""
    frames: list[str] = []
    watched.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    watched.open(chat)
    text = watched.answer("What needs my attention this morning?")
    assert len(text.split()) > 40
    pieces = sum("stream_token" in frame or "stream_start" in frame for frame in frames)
    assert 1 <= pieces < 10


def test_with_the_model_down_the_offline_answer_comes(
    watched: Any, served: Any, chatting: Any, unused_port: Callable[[], int], tmp_path: Path
) -> None:
    """A language model at an address where nothing listens: the numbers are the stored ones all the same."""
    nothing = {"ANOMALYST_OLLAMA_URL": f"http://127.0.0.1:{unused_port()}/v1", "ANOMALYST_MODEL": "ollama:qwen3"}
    boss = {"ANOMALYST_TOKEN": served.token, "ANOMALYST_USER": "boss"}
    with chatting(served, tmp_path, **boss, **nothing) as running:
        watched.open(running)
        text = watched.answer("What needs my attention this morning?")
    for each in served.get("/incidents", limit=5)["incidents"]:
        assert each["id"] in text


def test_a_device_of_another_tenant_is_not_known(watched: Any, home: Path, serving: Any, chatting: Any, tmp_path: Path) -> None:
    """Somebody of another tenant asks for a device of this one: no name, no number and no incident of it is shown."""
    shutil.copytree(home, tmp_path / "home")
    with serving(tmp_path / "home", tenant="elsewhere") as foreign:
        stranger = {"ANOMALYST_TOKEN": foreign.token, "ANOMALYST_USER": "boss"}
        with chatting(foreign, tmp_path / "chat", **stranger) as running:
            page = watched.page
            page.goto(running.url)
            page.get_by_text("There is no telemetry yet.").wait_for()
            text = watched.answer("Why was d02 flagged?")
            assert "Score" not in text
            watched.command("device", "d02")
            page.get_by_text("The server says").last.wait_for()
            assert page.locator(".js-plotly-plot").count() == 0


def test_an_empty_store_trains_nothing_and_begins_with_a_file(
    watched: Any, fleet: Any, serving: Any, chatting: Any, tmp_path: Path
) -> None:
    """Retraining is refused and makes no run; the button takes a file, which is walked to the first dashboard."""
    file = tmp_path / "telemetry.csv"
    fleet.telemetry().to_csv(file, index=False)
    with serving(tmp_path / "home") as empty:
        boss = {"ANOMALYST_TOKEN": empty.token, "ANOMALYST_USER": "boss"}
        with chatting(empty, tmp_path / "chat", **boss) as running:
            page = watched.page
            page.goto(running.url)
            page.get_by_text("There is no telemetry yet.").wait_for()
            assert "Which telemetry shall I ingest?" in watched.answer("Retrain the detector now")
            assert empty.get("/runs")["runs"] == []
            page.get_by_role("button", name="Upload telemetry").click()
            watched.choose(file)
            page.get_by_role("button", name="Ingest and walk it").click()
            page.get_by_text("rows ingested.").wait_for(timeout=90_000)
            page.get_by_text("Open incidents, worst first").last.wait_for()
            assert [each["complete"] for each in empty.get("/runs")["runs"]] == [True]


def test_words_typed_while_the_first_answer_makes_its_thread_are_kept(watched: Any, chat: Any, expect: Any) -> None:
    """The page draws its input anew when it moves to the thread; the next question is still in it, and is sent from it."""
    page = watched.page
    watched.open(chat)
    page.locator("#chat-input").evaluate("each => each.first = true")
    watched.ask("How many devices are there?")
    page.keyboard.insert_text("Show me the worst 10 stores")
    watched.in_thread()
    expect(page.locator("#chat-input")).not_to_have_js_property("first", True)
    expect(page.locator("#chat-input")).to_have_value("Show me the worst 10 stores")
    page.keyboard.press("Enter")
    page.locator("[data-step-type=user_message]").nth(1).wait_for()


def test_the_page_stays_with_the_answer(watched: Any, chat: Any, pending: Any) -> None:
    """A card that was opened before is drawn anew as charts come below it, and does not take the page back to itself."""
    page, suggestion = watched.page, pending()
    watched.open(chat)
    watched.answer("What needs my attention this morning?")
    watched.open_card(suggestion).wait_for()
    charts = page.locator(".js-plotly-plot").count()
    watched.answer("Which stores are worst?")
    page.locator(".js-plotly-plot").nth(charts).wait_for()
    page.wait_for_timeout(1_500)
    asked = page.locator("[data-step-type=user_message]").last.bounding_box()
    assert 0 <= asked["y"] < page.viewport_size["height"] / 2


def test_a_card_keeps_what_a_person_put_into_it(watched: Any, chat: Any, pending: Any, expect: Any) -> None:
    """What is typed, sorted and opened stays while answers and cards come below, and the keyboard stays where it was."""
    page, suggestion = watched.page, pending()
    watched.open(chat)
    watched.command("review")
    heads = page.get_by_label("Open incidents", exact=True).locator("th")
    heads.get_by_role("button", name="Sort by devices").click()
    card = watched.open_card(suggestion)
    card.locator("summary").first.click()
    reason = card.get_by_label("Reason")
    reason.fill("agreed with the store")
    watched.answer("Which stores are worst?")
    reason.focus()
    page.evaluate("setTimeout(() => document.querySelector('[aria-label^=\"Look into\"]').click(), 500)")
    page.get_by_role("button", name="Explain its worst anomaly").wait_for()
    expect(reason).to_be_focused()
    expect(reason).to_have_value("agreed with the store")
    expect(card.locator("details").first).to_have_attribute("open", "")
    expect(heads.nth(2)).to_have_attribute("aria-sort", "descending")
