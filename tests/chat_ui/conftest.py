"""A made-up fleet with a new normal and hostile names, walked once; a server over a copy of it; and answers of it to draw."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.tools.tokens import digest_of

MARKDOWN = "![leak](https://evil.example/leak.png)"
MARKUP = "<img src=https://evil.example/pixel.png>"
TOKENS = {
    "boss": "read+run+feedback+approve",
    "ann": "read+run+feedback+approve",
    "olga": "read+run+feedback",
    "reader": "read",
}
_WAIT = 90


def name_of(number: int) -> str:
    """Plain names, but for two that would like to be more than names."""
    return {1: MARKDOWN, 9: MARKUP}.get(number, f"d{number:02d}")


@pytest.fixture(scope="session")
def markdown() -> str:
    """Name of the device that would like to be an image."""
    return MARKDOWN


@pytest.fixture
def anyio_backend() -> str:
    """The chat runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def fleet(made_up: Any) -> Any:
    """The fleet: all of A drain more from a day on, two of B are really at fault for a day."""
    return made_up(name_of, stores=4, shift=4.0, faulty=(9, 12))


@pytest.fixture(scope="session")
def home(fleet: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the fleet walked."""
    return fleet.walked(tmp_path_factory.mktemp("chat"))


@dataclass(frozen=True)
class Served:
    """A server over HTTP, as the bearer of a token with every right."""

    url: str
    token: str
    new_normal: datetime

    def token_of(self, name: str) -> str:
        """The token of that person."""
        return token_of(name, self.token)

    def http(self, token: str | None = None) -> httpx.Client:
        """A client of it."""
        bearer = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=bearer, trust_env=False, timeout=60)

    def get(self, path: str, **asked: Any) -> Any:
        """What GET answers."""
        with self.http() as http:
            return http.get(path, params=asked).raise_for_status().json()

    def post(self, path: str, **told: Any) -> Any:
        """What POST answers."""
        with self.http() as http:
            return http.post(path, json=told).raise_for_status().json()

    def mark_new_normal(self) -> None:
        """Mark the anomalies of the new normal as false alarms."""
        page = self.get("/anomalies", metric="drain", since=self.new_normal.isoformat(), limit=200)
        for each in page["anomalies"]:
            self.post("/feedback", verdict="false_alarm", anomaly=each["id"], note="new app")


@pytest.fixture(scope="session")
def serving(fleet: Any) -> Callable[..., AbstractContextManager[Served]]:
    """Runs `anomalyst serve` over a home folder, with tokens, as long as a block lasts."""

    @contextmanager
    def serve(home: Path, port: int | None = None, tenant: str = "default", **environment: str) -> Iterator[Served]:
        port, token = port or free_port(), "anomalyst_for_tests"
        listed = " ".join(f"{name}:{scopes}:{tenant}:{digest_of(token_of(name, token))}" for name, scopes in TOKENS.items())
        ready = f"http://127.0.0.1:{port}/readyz"
        with running(["serve", "--port", str(port)], ready, home, ANOMALYST_TOKENS__LISTED=listed, **environment):
            yield Served(f"http://127.0.0.1:{port}", token, fleet.new_normal)

    return serve


@pytest.fixture(scope="session")
def served(serving: Callable[..., AbstractContextManager[Served]], home: Path) -> Iterator[Served]:
    """`anomalyst serve` over the fleet, with tokens."""
    with serving(home) as server:
        yield server


def token_of(name: str, token: str = "anomalyst_for_tests") -> str:
    """The token of that person."""
    return token if name == "boss" else f"{token}_{name}"


class running:  # noqa: N801 - reads as `with running(...)`
    """A command of `anomalyst`, from when it answers at `url` until the block ends."""

    def __init__(self, command: list[str], url: str, home: Path, **environment: str) -> None:
        self._command, self._url = command, url
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANOMALYST_", "CHAINLIT_"))}
        self._environment = {**kept, "ANOMALYST_HOME": str(home), **environment}
        self._process: subprocess.Popen[bytes] | None = None
        # a file, not a pipe: nobody reads while it runs, and a full pipe would halt the process at its next line of log
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the block ends

    def __enter__(self) -> None:
        start = [sys.executable, "-c", "from server.cli import main; main()", *self._command]
        self._process = subprocess.Popen(start, env=self._environment, stderr=self._said)
        end = time.monotonic() + _WAIT
        while time.monotonic() < end and self._process.poll() is None:
            if _answers(self._url):
                return
            time.sleep(0.1)
        self._end(kill=True)
        with self._said:
            self._said.seek(0)
            pytest.fail(f"{self._command} did not start: {self._said.read().decode()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self._end()
        self._said.close()

    def _end(self, *, kill: bool = False) -> None:
        assert self._process is not None
        (self._process.kill if kill else self._process.terminate)()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).is_success
    except httpx.HTTPError:
        return False


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def run_command() -> type["running"]:
    """Runs a command of `anomalyst` as long as a block lasts."""
    return running


@pytest.fixture(scope="session")
def unused_port() -> Callable[[], int]:
    """Finds a port that nothing listens on."""
    return free_port


@pytest.fixture(scope="session")
def answers(served: Served) -> dict[str, Any]:
    """What the server really answers, by subject: cards and charts are drawn from these, so that a changed shape is noticed."""
    served.mark_new_normal()
    suggestion = served.post("/suggestions/adjustments")["suggestions"][0]["suggestion"]["id"]
    worst = served.get("/anomalies", limit=1)["anomalies"][0]
    incident = served.get("/incidents", limit=1)["incidents"][0]["id"]
    return {
        "overview": served.get("/overview"),
        "scores": served.get("/scores"),
        "drift": served.get("/drift"),
        "groups": served.get("/groups", by="store"),
        "explanation": served.get("/explanations", anomaly=worst["id"]),
        "timeline": served.get(f"/devices/{worst['device']}/timeline", metric="heat"),
        "peers": served.get("/devices/d02/peers"),
        "incident": served.get(f"/incidents/{incident}"),
        "anomalies": served.get("/anomalies", incident=incident, limit=200),
        "standing": served.get(f"/suggestions/{suggestion}"),
        "preview": served.get(f"/suggestions/{suggestion}/preview"),
    }


@pytest.fixture
def drawn(answers: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """A copy of an answer that a test may change."""

    def copy(subject: str) -> dict[str, Any]:
        return {**answers[subject]}

    return copy
