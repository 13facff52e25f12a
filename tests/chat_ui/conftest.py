"""A made-up fleet with a new normal and hostile names, walked once; a server over a copy of it; and answers of it to draw."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from server.app import App
from server.domain.run import SourceSpec
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.settings import Settings
from server.tools.tokens import digest_of

MARKDOWN = "![leak](https://evil.example/leak.png)"
MARKUP = "<img src=https://evil.example/pixel.png>"
START = datetime(2025, 3, 3, tzinfo=UTC)
DAYS, DEVICES = 20, 16
NEW_NORMAL = START + timedelta(days=14)
FAULT = START + timedelta(days=11), START + timedelta(days=12)
TOKENS = {"boss": "read+run+feedback+approve", "reader": "read"}
_WAIT = 90


def name_of(number: int) -> str:
    """Plain names, but for two that would like to be more than names."""
    return {1: MARKDOWN, 9: MARKUP}.get(number, f"d{number:02d}")


def telemetry() -> pd.DataFrame:
    """Hourly rows of two models: all of A drain more from a day on, two of B are really at fault for a day."""
    chance = np.random.default_rng(5)
    times = pd.date_range(START, periods=24 * DAYS, freq="h")
    parts: list[pd.DataFrame] = []
    for number in range(DEVICES):
        rhythm = 1.0 + 0.3 * np.sin(2 * np.pi * times.hour.to_numpy() / 24)
        frame = pd.DataFrame(
            {
                "device": name_of(number),
                "time": times,
                "model": "A" if number < DEVICES // 2 else "B",
                "store": f"s{number % 4}",
                "drain": 10 * rhythm + chance.normal(0, 1.0, len(times)) + 0.2 * number,
                "heat": 30 + chance.normal(0, 0.5, len(times)),
            }
        )
        if number < DEVICES // 2:
            frame.loc[times >= NEW_NORMAL, "drain"] += 4.0
        if number in (9, 12):
            frame.loc[(times >= FAULT[0]) & (times < FAULT[1]), "heat"] += 15.0
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def markdown() -> str:
    """Name of the device that would like to be an image."""
    return MARKDOWN


@pytest.fixture
def anyio_backend() -> str:
    """The chat runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the fleet walked."""
    folder = tmp_path_factory.mktemp("chat")
    telemetry().to_parquet(folder / "fleet.parquet", index=False)
    settings = Settings(home=folder / "home", threads=1, _env_file=None)  # pyright: ignore[reportCallIssue]
    with App(settings) as app:
        spec = SourceSpec(
            connector="files", location=str(folder / "fleet.parquet"), options={"cohort": "model", "store": "store"}
        )
        detector = DetectorSettings(n_estimators=20, contamination=0.05)
        app.walk.advance("default", app.walk.start(Fleet(name="shop"), spec, WalkSettings(detector=detector)).id)
    return folder / "home"


@dataclass(frozen=True)
class Served:
    """A server over HTTP, as the bearer of a token with every right."""

    url: str
    token: str

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
        page = self.get("/anomalies", metric="drain", since=NEW_NORMAL.isoformat(), limit=200)
        for each in page["anomalies"]:
            self.post("/feedback", verdict="false_alarm", anomaly=each["id"], note="new app")


@pytest.fixture(scope="session")
def served(home: Path) -> Iterator[Served]:
    """`anomalyst serve` over the fleet, with tokens."""
    port = free_port()
    token = "anomalyst_for_tests"
    listed = " ".join(f"{name}:{scopes}:default:{digest_of(token_of(name, token))}" for name, scopes in TOKENS.items())
    with running(["serve", "--port", str(port)], f"http://127.0.0.1:{port}/readyz", home, ANOMALYST_TOKENS__LISTED=listed):
        yield Served(f"http://127.0.0.1:{port}", token)


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

    def __enter__(self) -> None:
        start = [sys.executable, "-c", "from server.cli import main; main()", *self._command]
        self._process = subprocess.Popen(start, env=self._environment, stderr=subprocess.PIPE)
        end = time.monotonic() + _WAIT
        while time.monotonic() < end and self._process.poll() is None:
            if _answers(self._url):
                return
            time.sleep(0.1)
        self._process.kill()
        said = self._process.communicate()[1].decode()
        pytest.fail(f"{self._command} did not start: {said[-2000:]}")

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=30)


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
