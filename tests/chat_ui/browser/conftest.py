"""A browser before the running chat, and a log of whatever it asks for."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_another = count()
PATIENCE = 20_000


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

    def ask(self, words: str) -> None:
        """Type a question and send it, once the answer before it is there: until then Enter sends nothing."""
        self.page.locator("#stop-button").wait_for(state="hidden")
        self.page.locator("#chat-input").click()
        self.page.keyboard.type(words)
        self.page.keyboard.press("Enter")

    def command(self, name: str, words: str = "") -> None:
        """Choose a command by typing it, then send it with the words."""
        self.page.locator("#chat-input").click()
        self.page.keyboard.type(f"/{name}")
        self.page.keyboard.press("Enter")
        self.page.keyboard.type(words or " ")
        self.page.keyboard.press("Enter")

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


@pytest.fixture(scope="session")
def chat(
    served: Any, run_command: Any, unused_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chat]:
    """`anomalyst chat-ui` before the server, for its local user `boss`."""
    url = f"http://127.0.0.1:{unused_port()}"
    home: Path = tmp_path_factory.mktemp("chat_home")
    environment = {"ANOMALYST_URL": f"{served.url}/mcp", "ANOMALYST_TOKEN": served.token, "ANOMALYST_USER": "boss"}
    watching = {"ANOMALYST_CHAT__WATCH_SECONDS": "0.5"}
    with run_command(["chat-ui", "--port", url.rpartition(":")[2]], f"{url}/healthz", home, **environment, **watching):
        yield Chat(url)


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
def watched(chromium: Any) -> Iterator[Watched]:
    """A fresh browser profile with one page."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    seen = Watched(page)
    page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).netloc))
    page.on("websocket", lambda socket: seen.hosts.add(urlsplit(socket.url).netloc))
    yield seen
    context.close()


@pytest.fixture
def pending(served: Any) -> Iterator[Callable[[], str]]:
    """Makes suggestions that wait, each another one; what is left of them is rejected at the end."""
    made: list[str] = []

    def make() -> str:
        asked = served.post("/suggestions/settings", contamination=round(0.049 - 0.001 * next(_another), 3))
        made.append(asked["suggestions"][0]["suggestion"]["id"])
        return made[-1]

    yield make
    for suggestion in made:
        standing = served.get(f"/suggestions/{suggestion}")
        if standing["status"] == "pending":
            served.post(f"/suggestions/{suggestion}/decision", approved=False, digest=standing["digest"], reason="over")
