"""What outlives the processes: a pending approval, a thread with its charts; and what an expiry makes of a prompt."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


class Own:
    """A server and a chat over a copy of the fleet, at addresses that they keep when they are started again."""

    def __init__(self, folder: Path, serving: Any, chatting: Any, ports: tuple[int, int]) -> None:
        self._folder, self._serving, self._chatting, self._ports = folder, serving, chatting, ports
        self._running = ExitStack()
        self.served: Any = None
        self.chat: Any = None

    def start(self, **environment: str) -> None:
        """Start both."""
        self.served = self._running.enter_context(self._serving(self._folder / "home", self._ports[0], **environment))
        boss = {"ANOMALYST_TOKEN": self.served.token, "ANOMALYST_USER": "boss"}
        chat = self._chatting(self.served, self._folder / "chat", self._ports[1], **boss)
        self.chat = self._running.enter_context(chat)

    def stop(self) -> None:
        """End both."""
        self._running.close()
        self._running = ExitStack()


@pytest.fixture(scope="module")
def own(
    home: Path, serving: Any, chatting: Any, unused_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Own]:
    """Started, for tests that change the fleet or start anew."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(home, folder / "home")
    made = Own(folder, serving, chatting, (unused_port(), unused_port()))
    made.start()
    yield made
    made.stop()


def test_an_approval_and_a_thread_survive_a_restart(
    watched: Any, own: Own, suggested: Callable[[Any], str], expect: Any
) -> None:
    """Server and chat end and start again: the card is offered again and can be approved, and the thread has its charts."""
    page, suggestion = watched.page, suggested(own.served)
    watched.open(own.chat)
    watched.ask("Show me the worst 10 stores")
    page.get_by_role("heading", name="Groups by store").wait_for()
    page.locator(".js-plotly-plot").last.wait_for()
    watched.open_card(suggestion).get_by_role("button", name="Approve").wait_for()
    thread, drawn = page.url, page.locator(".js-plotly-plot").count()
    own.stop()
    own.start()
    watched.open(own.chat)
    card = page.get_by_label(f"Suggestion {suggestion}")
    card.get_by_role("button", name="Approve").wait_for()
    stored = own.served.get(f"/suggestions/{suggestion}")
    assert stored["status"] == "pending"
    expect(card.get_by_text(stored["digest"])).to_have_count(1)
    card.get_by_role("button", name="Approve").click()
    page.get_by_text("Applied:").wait_for(timeout=60_000)
    assert own.served.get(f"/suggestions/{suggestion}")["status"] == "applied"
    page.goto(thread)
    page.get_by_role("heading", name="Groups by store").wait_for()
    page.locator(".js-plotly-plot .main-svg").nth(drawn - 1).wait_for(state="attached")
    card.get_by_text("Approved by boss").wait_for()
    expect(card.get_by_role("button", name="Approve")).to_have_count(0)


def test_a_wrong_file_is_refused_and_a_right_one_changes_the_dashboard(
    watched: Any, own: Own, fleet: Any, tmp_path: Path, expect: Any
) -> None:
    """The refusal says why and leaves everything as it was; the right file is looked at, walked in the open, and shown."""
    page, before = watched.page, own.served.get("/overview")
    wrong, right = tmp_path / "notes.csv", tmp_path / "new.csv"
    wrong.write_text("subject,text\nhello,world\n", "utf-8")
    fleet.telemetry().query("device == 'd02'").assign(device="brand-new").to_csv(right, index=False)
    watched.open(own.chat)
    watched.command("upload")
    watched.choose(wrong)
    page.get_by_text("Not taken: notes.csv: no column is known to be the device").wait_for()
    after = own.served.get("/overview")
    assert {**after, "health": 0, "summary": ""} == {**before, "health": 0, "summary": ""}
    page.get_by_role("button", name="Send another file").click()
    watched.choose(right)
    page.get_by_text("Device: device; time: time; alike by: model; store: store; metrics: drain, heat.").wait_for()
    assert own.served.get("/runs")["runs"][0]["run"] == before["run"]
    page.get_by_role("button", name="Ingest and walk it").click()
    page.get_by_text("rows ingested.").wait_for(timeout=90_000)
    watched.shot("upload")
    expect(page.get_by_label("Walking the file into fleet shop").locator(".an-tag.ok")).to_have_count(6)
    tile = page.locator(".an-tile", has_text="Devices").last.locator("b")
    shown = own.served.get("/overview")["health"]["health"]["devices"]
    assert shown == before["health"]["health"]["devices"] + 1
    expect(tile).to_have_text(f"{shown:,}")


def test_an_approval_that_nobody_gives_in_time_is_a_not_now(
    watched: Any, own: Own, suggested: Callable[[Any], str], expect: Any
) -> None:
    """The card closes by itself when the suggestion expires: no decision, the same version, no button left."""
    own.stop()
    own.start(ANOMALYST_CORRECTIONS__EXPIRES_DAYS=str(25 / 86_400))
    before = own.served.get("/overview")
    watched.open(own.chat)
    suggestion = suggested(own.served)
    watched.command("pending")
    card = watched.page.get_by_label(f"Suggestion {suggestion}")
    card.get_by_role("button", name="Approve").wait_for()
    card.get_by_text("expired: not now").wait_for(timeout=45_000)
    watched.page.get_by_text(f"Suggestion {suggestion} has expired undecided: not now").wait_for()
    expect(card.get_by_role("button", name="Approve")).to_have_count(0)
    stored = own.served.get(f"/suggestions/{suggestion}")
    assert (stored["status"], stored["decision"]) == ("expired", None)
    after = own.served.get("/overview")
    assert (after["baseline"], after["detector"]) == (before["baseline"], before["detector"])
