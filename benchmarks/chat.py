"""How long a person waits at the chat, in a real browser: `python benchmarks/chat.py HOME`.

Starts the chat over the home folder of a walked fleet, with a server of its own, and opens it with Debian's Chromium, a fresh
profile each time. Measured from when the page can be typed into: until the dashboard stands, until its charts do. Then, from
Enter: until the first words of an answer of the offline model. Beside the times: CPU seconds of the chat, and of its server.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, sync_playwright

QUESTIONS = ("What needs my attention this morning?", "Can I trust today's numbers?", "Show me the worst 10 stores")
DASHBOARD_SECONDS, FIRST_WORDS_SECONDS = 2.0, 1.0


def main() -> None:
    """Print one JSON line a measure: median, worst, and the aim."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("home", help="the home folder of a walked fleet")
    asked.add_argument("--opens", type=int, default=5)
    told = asked.parse_args()
    with running(told.home) as (url, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        opened(browser, url)  # the first one of a process imports and connects; nobody but the first person waits for that
        before = cpu_of(process.pid)
        opens = [opened(browser, url) for _ in range(told.opens)]
        spent = cpu_of(process.pid) - before
        words = answers(browser, url)
        browser.close()
    report("dashboard", [each[0] for each in opens], DASHBOARD_SECONDS)
    report("charts", [each[1] for each in opens], None)
    report("first words", words, FIRST_WORDS_SECONDS)
    load = os.getloadavg()[0]
    tell({"cpu_seconds_an_open": round(spent / told.opens, 3), "load": load, "cores": os.cpu_count()})


def report(measure: str, seconds: list[float], aim: float | None) -> None:
    """One line."""
    middle, worst = round(statistics.median(seconds), 3), round(max(seconds), 3)
    tell({"measure": measure, "median_s": middle, "worst_s": worst, "aim_s": aim, "n": len(seconds)})


def tell(line: dict[str, Any]) -> None:
    """Print it as JSON."""
    sys.stdout.write(json.dumps(line) + "\n")


def opened(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds from a page that can be typed into to its dashboard, and to its charts."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(url)
    page.locator("#chat-input").wait_for()
    ready = time.monotonic()
    page.get_by_text("Open incidents, worst first").wait_for()
    dashboard = time.monotonic() - ready
    page.locator(".js-plotly-plot .main-svg").nth(1).wait_for(state="attached")
    charts = time.monotonic() - ready
    page.close()
    return dashboard, charts


def answers(browser: Browser, url: str) -> list[float]:
    """Seconds from Enter to the first words of each answer; the first question, which connects the agent, is not counted."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(url)
    page.locator(".js-plotly-plot .main-svg").nth(1).wait_for(state="attached")
    first_words(page, QUESTIONS[0])
    return [first_words(page, question) for question in QUESTIONS]


def first_words(page: Page, question: str) -> float:
    """Seconds from Enter to the first words."""
    page.locator("#stop-button").wait_for(state="hidden")
    said = page.locator("[data-step-type=assistant_message]")
    before = said.count()
    page.locator("#chat-input").click()
    page.keyboard.insert_text(question)
    begun = time.monotonic()
    page.keyboard.press("Enter")
    said.nth(before).wait_for()
    waited = time.monotonic() - begun
    page.locator("#stop-button").wait_for(state="hidden")
    return waited


@contextmanager
def running(home: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The chat and its own server, from when it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANOMALYST_", "CHAINLIT_"))}
    start = [sys.executable, "-c", "from server.cli import main; main()", "chat-ui", "--port", str(port)]
    environment = {**kept, "ANOMALYST_HOME": home}
    process = subprocess.Popen(start, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command
    url = f"http://127.0.0.1:{port}"
    try:
        while not answering(f"{url}/healthz"):
            if process.poll() is not None:
                raise SystemExit("the chat did not start: run `anomalyst chat-ui` with that home folder to see why")
            time.sleep(0.2)
        yield url, process
    finally:
        process.terminate()
        process.wait()


def answering(url: str) -> bool:
    """Whether something answers there."""
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of this machine
            return answer.status == 200
    except OSError:
        return False


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    ticks = os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return sum(_ticks(each) for each in (str(pid), *children)) / ticks


def _ticks(pid: str) -> int:
    fields: list[Any] = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main()
