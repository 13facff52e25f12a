"""A browser before the running chat, and a log of whatever it asks for.

`ANOMALYST_SLOWED=8` makes the pages eight times as slow as the machine: what a test asks too early fails then.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
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
PAGES: pytest.StashKey[list["Watched"]] = pytest.StashKey()


@dataclass
class Chat:
    """The running chat."""

    url: str


@dataclass
class Watched:
    """A page, the hosts of all that it asked for, and what happened on it, with the second of each."""

    page: Any
    phone: bool = False
    hosts: set[str] = field(default_factory=set)
    happened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        begin, page = time.monotonic(), self.page

        def note(words: object) -> None:
            self.happened.append(f"{time.monotonic() - begin:6.1f} {str(words)[:160]}")

        def listen(socket: Any) -> None:
            self.hosts.add(urlsplit(socket.url).netloc)
            note(f"socket {urlsplit(socket.url).path}")
            socket.on("framereceived", lambda frame: note(f"received {frame}"))
            socket.on("framesent", lambda frame: note(f"sent {frame}"))
            socket.on("close", lambda _: note("socket closed"))

        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("response", lambda answer: note(f"{answer.status} {answer.request.method} {urlsplit(answer.url).path}"))
        page.on(
            "requestfailed", lambda request: note(f"failed {request.method} {urlsplit(request.url).path} {request.failure}")
        )
        page.on("pageerror", lambda error: note(f"error {error}"))
        page.on("websocket", listen)

    def told(self) -> str:
        """Where it is, what it says, and the last of what happened: for the report of a test that failed."""
        words = self.page.locator("body").inner_text(timeout=5_000)
        return "\n".join((self.page.url, words[:1_000], *self.happened[-60:]))

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
        self.in_thread()
        return self.page.get_by_label(f"Suggestion {suggestion}")

    def explain(self) -> None:
        """Have the worst incident explained, from the dashboard."""
        self.page.locator(".an-row").get_by_role("button", name="Explain").first.click()
        self.in_thread()
        self.page.get_by_text("What do you say?").wait_for()

    def in_thread(self) -> None:
        """Wait until the page takes words in a thread: the first thing that a person does makes one, and all is drawn anew.

        A phone, which shows no list of threads, stays where it is.
        """
        if not self.phone:
            self.page.wait_for_url("**/thread/**")
        # while something is under way a button to stop it stands in this one's place
        self.page.locator("#chat-submit").wait_for()

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
        self.in_thread()
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
        self.page.wait_for_url("**/thread/**")

    def choose(self, file: Path) -> None:
        """Give the file to the chat once it asks for one; again where the page had not begun to listen yet."""
        button, given = self.page.get_by_role("button", name="Browse Files"), self.page.locator("#ask-button-input").last
        button.last.wait_for()
        for _ in range(10):
            with contextlib.suppress(sync_api.TimeoutError):
                given.set_input_files([], timeout=PATIENCE / 10)
                given.set_input_files(file, timeout=PATIENCE / 10)
            with contextlib.suppress(sync_api.TimeoutError):
                button.last.wait_for(state="detached", timeout=PATIENCE / 10)
                return
        pytest.fail(f"the page did not take {file.name}")

    def outside(self, chat: Chat) -> set[str]:
        """Hosts that are not the chat's."""
        return self.hosts - {urlsplit(chat.url).netloc, ""}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the pages of a failed test showed, below its report."""
    report = yield
    if report.when == "call" and report.failed:
        for place, each in enumerate(item.stash.get(PAGES, [])):
            with contextlib.suppress(sync_api.Error):
                report.sections.append((f"page {place}", each.told()))
    return report


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
def browsing(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Watched]]:
    """Opens browsers with a fresh profile and one page each."""
    pages = request.node.stash.setdefault(PAGES, [])

    def browse(**how: Any) -> Watched:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 1600}, **how})
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        if slowed := os.environ.get("ANOMALYST_SLOWED"):
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": float(slowed)})
        pages.append(Watched(page, phone=how.get("is_mobile", False)))
        return pages[-1]

    yield browse
    for each in pages:
        each.page.context.close()


@pytest.fixture(scope="session")
def expect() -> Any:
    """Says of what the page shows what it must come to be: the page may still be drawing it."""
    sync_api.expect.set_options(timeout=PATIENCE)
    return sync_api.expect


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
