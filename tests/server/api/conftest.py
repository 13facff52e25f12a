"""A made-up fleet with a new normal and hostile names, walked once; servers over copies of it, and callers with tokens."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.api.app import build_api
from server.app import App
from server.settings import ServeSettings, Settings, TokenSettings, UploadSettings
from server.tools.desk import Desk
from server.tools.tokens import Verifier, digest_of
from server.tools.web import transport_security

URL = "http://127.0.0.1:8800"
HOSTILE = "<script>alert(1)</script>\u202e"
FORMULA = "=HYPERLINK('1')/x"
SCOPES = {
    "reader": "read",
    "runner": "read+run",
    "judge": "read+feedback",
    "boss": "read+approve",
    "nobody": "run",
    "all": "read+run+feedback+approve",
}


def name_of(number: int) -> str:
    """Plain names, but for two that would like to be more than names."""
    return {0: HOSTILE, 15: FORMULA}.get(number, f"d{number:02d}")


@pytest.fixture(scope="session")
def fleet(made_up: Any) -> Any:
    """The fleet: all of A drain more from a day on, one of B is really at fault for a day."""
    return made_up(name_of, stores=2, shift=5.0, faulty=(15,))


def settings_in(home: Path, **more: Any) -> Settings:
    """Settings that nothing of the machine's environment or a `.env` file reaches."""
    return Settings(home=home, threads=1, _env_file=None, **more)  # pyright: ignore[reportCallIssue]


@pytest.fixture(scope="session")
def walked_home(fleet: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the fleet walked, closed; the file beside it."""
    return fleet.walked(tmp_path_factory.mktemp("walked"))


@dataclass
class Served:
    """A server: its parts, its app, and callers of it."""

    desk: Desk
    api: FastAPI

    def client(self, who: str | None = None, **how: Any) -> TestClient:
        """Whoever bears that token, or none, at this machine; it sees a fault of ours as any client would."""
        headers = {"Authorization": f"Bearer {token_of(who)}"} if who else {}
        given = {
            "base_url": URL, "client": ("127.0.0.1", 40_000), "raise_server_exceptions": False, "follow_redirects": False
        } | how  # fmt: skip
        return TestClient(self.api, headers=headers, **given)


def token_of(who: str) -> str:
    """The token that the servers with tokens know that caller by."""
    return f"anomalyst_{who}_{'x' * 30}"


def lines(tenant: str = "default") -> str:
    """The lines of all callers, and of one of another tenant."""
    known = [f"{name}:{scopes}:{tenant}:{digest_of(token_of(name))}" for name, scopes in SCOPES.items()]
    return " ".join([*known, f"rival:read+run+feedback+approve:rival:{digest_of(token_of('rival'))}"])


def served(app: App, *, tokens: bool) -> Iterator[Served]:
    """A server over the app's stores; its walks end with the test."""
    with Desk(app) as desk:
        verifier = Verifier(app.settings.tokens, app.settings.tenant) if tokens else None
        yield Served(desk, build_api(desk, transport_security(app.settings, URL), verifier))


@pytest.fixture(scope="session")
def reading(walked_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with tokens over the walked fleet, for tests that only read."""
    home = tmp_path_factory.mktemp("reading") / "home"
    shutil.copytree(walked_home, home)
    with App(settings_in(home, tokens=TokenSettings(listed=lines()))) as app:
        yield from served(app, tokens=True)


@pytest.fixture
def changing(walked_home: Path, tmp_path: Path) -> Iterator[Served]:
    """A server with tokens over a copy of the walked fleet that a test may change."""
    shutil.copytree(walked_home, tmp_path / "home")
    with App(settings_in(tmp_path / "home", tokens=TokenSettings(listed=lines()))) as app:
        yield from served(app, tokens=True)


@pytest.fixture
def local(walked_home: Path, tmp_path: Path) -> Iterator[Served]:
    """A server without tokens, over a copy of the walked fleet."""
    shutil.copytree(walked_home, tmp_path / "own")
    with App(settings_in(tmp_path / "own")) as app:
        yield from served(app, tokens=False)


@pytest.fixture
def unhurried(tmp_path: Path) -> Iterator[Served]:
    """A server with nothing in it that lets each bearer call eight times a minute, two of them at once."""
    calm = settings_in(tmp_path / "home", tokens=TokenSettings(listed=lines()), serve=ServeSettings(calls_per_minute=8))
    with App(calm) as app:
        yield from served(app, tokens=True)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Served]:
    """A server with nothing in it, on which two uploads, a MiB in all, of a hundred rows each may wait an hour."""
    bounds = UploadSettings(files=2, megabytes=1, rows=100, hours=1)
    with App(settings_in(tmp_path / "home", tokens=TokenSettings(listed=lines()), uploads=bounds)) as app:
        yield from served(app, tokens=True)


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with nothing in it that counts nobody's calls, for tests that make very many."""
    uncounted = ServeSettings(calls_per_minute=1_000_000)
    home = tmp_path_factory.mktemp("patient")
    with App(settings_in(home, tokens=TokenSettings(listed=lines()), serve=uncounted)) as app:
        yield from served(app, tokens=True)


Judging = Callable[[Served, str], str]


@pytest.fixture
def judged(fleet: Any) -> Judging:
    """Marks false alarms of the new normal and has a suggestion made of them; gives its id."""

    def suggestion(server: Served, who: str) -> str:
        with server.client(who) as client:
            found = client.get("/api/v1/anomalies", params={"since": fleet.new_normal.isoformat(), "limit": 500}).json()
            moved = {name_of(number) for number in range(fleet.devices // 2)}
            benign = [each for each in found["anomalies"] if each["device"] in moved]
            for each in benign[:: max(1, len(benign) // 40)]:
                body = {"verdict": "false_alarm", "anomaly": each["id"], "note": f"new app {HOSTILE}"}
                assert client.post("/api/v1/feedback", json=body).status_code == 201
            answer = client.post("/api/v1/suggestions/adjustments", json={}).json()
            assert answer["suggestions"], answer
            return answer["suggestions"][0]["suggestion"]["id"]

    return suggestion


Fields = dict[str, str]


@pytest.fixture
def form_of() -> Callable[[str], Fields]:
    """The hidden fields of a page's last form: what a browser would send along."""

    def fields(html: str) -> Fields:
        last = html.rpartition("<form")[2]
        return dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', last))

    return fields
