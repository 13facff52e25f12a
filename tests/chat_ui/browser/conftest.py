"""A browser before the running chat, and a log of whatever it asks for."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from chat_ui.people import hashed

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_another = count()
PATIENCE = 60_000


@dataclass
class Chat:
    """The running chat."""

    url: str


@dataclass
class Watched:
    """A page, and the hosts of all that it asked for."""

    page: Any
    hosts: set[str] = field(default_factory=set)

    def open(self, chat: Chat) -> None:
        """Open the chat and wait for its dashboard."""
        self.page.goto(chat.url)
        self.page.get_by_text("Open incidents, worst first").wait_for()

    def log_in(self, chat: Chat, name: str, password: str) -> None:
        """Open the chat and say who it is."""
        self.page.goto(chat.url)
        self.page.locator("input[name=email]").fill(name)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("button[type=submit]").click()

    def open_card(self, suggestion: str) -> Any:
        """The approval card of a suggestion, opened from the dashboard."""
        row = self.page.locator(".an-row", has_text=suggestion).last
        row.get_by_role("button", name="Preview and decide").click()
        return self.page.get_by_label(f"Suggestion {suggestion}")

    def shot(self, name: str) -> None:
        """A picture to look at, where the environment names a folder for them."""
        if folder := os.environ.get("ANOMALYST_SHOTS"):
            self.page.screenshot(path=f"{folder}/{name}.png", full_page=False)

    def ask(self, words: str) -> None:
        """Type a question and send it once the page takes it: while an answer is under way Enter sends nothing."""
        self.page.locator("#chat-input").fill(words)
        self.page.locator("#chat-submit:not([disabled])").wait_for()
        self.page.locator("#chat-input").press("Enter")

    def answer(self, words: str) -> str:
        """What the page says to a question, once it has said all: the first message below the question."""
        asked = self.page.locator("[data-step-type=user_message]")
        before = asked.count()
        self.ask(words)
        asked.nth(before).wait_for()
        message = "*[@data-step-type='assistant_message']"
        said = asked.nth(before).locator(f"xpath=(./descendant::{message} | ./following::{message})[1]")
        # the first answer of a chat waits until its offline model has learned its phrases: seconds of work, minutes under load
        said.wait_for(timeout=4 * PATIENCE)
        # the first question makes a thread; before that the page shows no button to stop with
        self.page.wait_for_url("**/thread/**")
        self.page.locator("#stop-button").wait_for(state="hidden")
        return str(said.inner_text())

    def command(self, name: str, words: str = "") -> None:
        """Choose a command by typing it, then send it with the words, once the page takes them."""
        typed, offered = self.page.locator("#chat-input"), self.page.locator(".command-item")
        typed.fill(f"/{name}")
        offered.first.wait_for()
        typed.press("Enter")
        offered.first.wait_for(state="detached")
        typed.fill(words or " ")
        # while something is under way a button to stop it stands there, and Enter sends nothing
        self.page.locator("#chat-submit").wait_for()
        typed.press("Enter")

    def choose(self, file: Path) -> None:
        """Give the file to the chat once it asks for one; again where the page had not begun to listen yet."""
        button = self.page.get_by_role("button", name="Browse Files")
        button.last.wait_for()
        for _ in range(5):
            self.page.wait_for_timeout(1_000)
            if button.count() == 0:
                return
            self.page.locator("#ask-button-input").last.set_input_files([])
            self.page.locator("#ask-button-input").last.set_input_files(file)
            self.page.wait_for_timeout(2_000)

    def outside(self, chat: Chat) -> set[str]:
        """Hosts that are not the chat's."""
        return self.hosts - {urlsplit(chat.url).netloc, ""}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


Chatting = Callable[..., AbstractContextManager[Chat]]


@pytest.fixture(scope="session")
def chatting(run_command: Any, unused_port: Callable[[], int]) -> Chatting:
    """Runs `anomalyst chat-ui` before a server, with a home folder of its own, as long as a block lasts."""

    @contextmanager
    def chat(served: Any, home: Path, port: int | None = None, **environment: str) -> Iterator[Chat]:
        port = port or unused_port()
        url = f"http://127.0.0.1:{port}"
        there = {"ANOMALYST_URL": f"{served.url}/mcp", "ANOMALYST_CHAT__WATCH_SECONDS": "0.5"}
        with run_command(["chat-ui", "--port", str(port)], f"{url}/healthz", home, **there, **environment):
            yield Chat(url)

    return chat


@pytest.fixture(scope="session")
def chat(served: Any, chatting: Chatting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """The chat for its local user `boss`."""
    boss = {"ANOMALYST_TOKEN": served.token, "ANOMALYST_USER": "boss"}
    with chatting(served, tmp_path_factory.mktemp("chat_home"), **boss) as running:
        yield running


@pytest.fixture(scope="session")
def people(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of people: boss and ann may decide, olga may not, rea only reads. The password is the name, twice."""
    path = tmp_path_factory.mktemp("people") / "people.toml"
    tables = [
        f'[{name}]\npassword = "{hashed(name * 2)}"\ntoken = "{served.token_of(token)}"\n'
        for name, token in (("boss", "boss"), ("ann", "ann"), ("olga", "olga"), ("rea", "reader"))
    ]
    path.write_text("\n".join(tables), "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def office(served: Any, chatting: Chatting, people: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """The chat that several people log in to."""
    with chatting(served, tmp_path_factory.mktemp("office"), ANOMALYST_CHAT__PEOPLE=str(people)) as running:
        yield running


@pytest.fixture
def another_site() -> Iterator[str]:
    """An empty page of another port of this machine: another site, as browsers see it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Empty)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<title>elsewhere</title>")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def browsing(chromium: Any) -> Iterator[Callable[..., Watched]]:
    """Opens browsers with a fresh profile and one page each."""
    contexts: list[Any] = []

    def browse(**how: Any) -> Watched:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 1600}, **how})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        seen = Watched(page)
        page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: seen.hosts.add(urlsplit(socket.url).netloc))
        return seen

    yield browse
    for context in contexts:
        context.close()


@pytest.fixture
def watched(browsing: Callable[..., Watched]) -> Watched:
    """A fresh browser profile with one page."""
    return browsing()


@pytest.fixture
def pending(served: Any) -> Iterator[Callable[[], str]]:
    """Makes suggestions that wait, each another one; what is left of them is rejected at the end."""
    made: list[str] = []

    def make() -> str:
        made.append(suggested(served))
        return made[-1]

    yield make
    for suggestion in made:
        standing = served.get(f"/suggestions/{suggestion}")
        if standing["status"] == "pending":
            served.post(f"/suggestions/{suggestion}/decision", approved=False, digest=standing["digest"], reason="over")


def suggested(served: Any) -> str:
    """A suggestion for other settings of the detector, another one each time."""
    asked = served.post("/suggestions/settings", contamination=round(0.049 - 0.001 * next(_another), 3))
    return asked["suggestions"][0]["suggestion"]["id"]


@pytest.fixture(name="suggested", scope="session")
def _suggested() -> Callable[[Any], str]:
    return suggested
