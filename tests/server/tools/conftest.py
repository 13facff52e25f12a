"""A small fleet, apps over stores of their own, and clients of both protocol eras over one app."""

import shutil
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mcp import Client
from mcp.server import MCPServer

from server.app import App
from server.domain.run import SourceSpec, Stage
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.settings import Settings
from server.tools.desk import Desk
from server.tools.policy import Policy
from server.tools.server import build_server

QUICK = WalkSettings(detector=DetectorSettings(n_estimators=20, contamination=0.02))
ERAS: tuple[dict[str, Any], ...] = ({}, {"mode": "legacy"})


def settings_in(home: Path, **more: Any) -> Settings:
    """Settings that nothing of the machine's environment or a `.env` file reaches."""
    return Settings(home=home, threads=1, _env_file=None, **more)  # pyright: ignore[reportCallIssue]


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture(params=ERAS, ids=["modern", "legacy"])
def era(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What makes a client speak today's protocol, or that of before."""
    return request.param


@pytest.fixture(scope="session")
def fleet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six devices, four days, a fault in one of them."""
    chance = np.random.default_rng(17)
    rows, devices = 96, 6
    frame = pd.DataFrame(
        {
            "device": np.repeat([f"d{n}" for n in range(devices)], rows),
            "time": np.tile(pd.date_range("2025-03-01", periods=rows, freq="h", tz="UTC"), devices),
            "model": np.repeat(["TC52", "TC57"], rows * devices // 2),
            "load": 50 + chance.normal(0, 2, rows * devices),
            "heat": 40 + np.repeat(np.arange(devices), rows) + chance.normal(0, 1, rows * devices),
        }
    )
    frame.loc[4 * rows + 70 : 4 * rows + 80, "heat"] += 30
    path = tmp_path_factory.mktemp("telemetry") / "fleet.parquet"
    frame.to_parquet(path, index=False)
    return path


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A server's parts with nothing in them."""
    with App(settings_in(tmp_path / "home")) as app:
        yield app


@pytest.fixture
def desk(app: App) -> Iterator[Desk]:
    """The desk of an empty app; its walks end with the test."""
    with Desk(app) as desk:
        yield desk


def started(app: App, path: Path, fleet: str = "shop") -> str:
    """Id of a run on a file, with nothing done yet and settings that train fast."""
    return app.walk.start(Fleet(name=fleet), SourceSpec(connector="files", location=str(path)), QUICK).id


@pytest.fixture(scope="session")
def walked(fleet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app with one complete run, for tests that only read."""
    with App(settings_in(tmp_path_factory.mktemp("walked"))) as app:
        app.walk.advance("default", started(app, fleet_file))
        yield app


@pytest.fixture(scope="session")
def walked_home(fleet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with one complete run, closed."""
    home = tmp_path_factory.mktemp("closed") / "home"
    with App(settings_in(home)) as app:
        app.walk.advance("default", started(app, fleet_file))
    return home


@pytest.fixture
def mine(walked_home: Path, tmp_path: Path) -> Iterator[App]:
    """An app with one complete run that a test may change."""
    shutil.copytree(walked_home, tmp_path / "mine")
    with App(settings_in(tmp_path / "mine")) as app:
        yield app


@pytest.fixture(scope="session")
def unbroken(walked: App) -> str:
    """Digest of the scores of a walk that nothing interfered with."""
    return scores_of(walked, walked.records.runs("default")[0].id)


def scores_of(app: App, run: str) -> str:
    """Digest of a run's scores."""
    return app.records.run("default", run).stages[Stage.SCORE].digest


class Told:
    """A client whose answers are checked: `ok` for what has to succeed, `refused` for what must not."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ok(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a call that succeeds."""
        answer = await self.client.call_tool(tool, arguments)
        assert not answer.is_error, answer.content
        assert answer.structured_content is not None
        return answer.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """The words of a call that is refused."""
        answer = await self.client.call_tool(tool, arguments)
        assert answer.is_error, answer.structured_content
        return answer.content[0].text  # pyright: ignore[reportAttributeAccessIssue]


@asynccontextmanager
async def connected(server: "MCPServer[Any] | str", **how: Any) -> AsyncGenerator[Told]:
    """A client in memory or at a URL."""
    async with Client(server, **how) as client:
        yield Told(client)


Connect = Callable[..., AbstractAsyncContextManager[Told]]


@pytest.fixture
def local(desk: Desk, era: dict[str, Any]) -> Connect:
    """Clients of the local user over the empty app, in one era."""
    server = build_server(desk.app, Policy.stdio(desk.app.settings), desk)
    return lambda **how: connected(server, **era, **how)


class HeldWalk:
    """A walk that stops in a stage, at its first report, until it is let go on."""

    def __init__(self, walk: Any, stage: Stage) -> None:
        self._walk, self._stage = walk, stage
        self.inside, self.go_on = Event(), Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._walk, name)

    def advance(self, tenant: str, run: str, to: Stage, progress: Any) -> Any:
        """As the walk's own, held once."""

        def held(stage: Stage, done: int, total: int | None) -> None:
            progress(stage, done, total)
            if stage is self._stage and not self.go_on.is_set():
                self.inside.set()
                assert self.go_on.wait(60)
                progress(stage, done, total)

        return self._walk.advance(tenant, run, to, held)


@pytest.fixture
def held(app: App) -> Iterator[HeldWalk]:
    """The app's walk, held in its second stage."""
    walk = HeldWalk(app.walk, Stage.FEATURES)
    app.walk = walk  # pyright: ignore[reportAttributeAccessIssue]
    yield walk
    walk.go_on.set()


@pytest.fixture
def start(app: App, fleet_file: Path) -> Callable[..., str]:
    """Starts a run of the small fleet in the empty app; returns its id."""
    return lambda **named: started(app, fleet_file, **named)


@pytest.fixture
def scores(app: App) -> Callable[[str], str]:
    """Digest of a run's scores in the empty app."""
    return lambda run: scores_of(app, run)


@pytest.fixture
def reader(walked: App, era: dict[str, Any]) -> Connect:
    """Clients over the walked app, in one era."""
    server = build_server(walked, Policy.stdio(walked.settings))
    return lambda **how: connected(server, **era, **how)


@pytest.fixture(scope="session")
def connect() -> Connect:
    """Connects to any server or URL."""
    return connected


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings over a home of the test's own."""
    return lambda **more: settings_in(tmp_path / "home", **more)


@pytest.fixture(scope="session")
def start_in() -> Callable[..., str]:
    """Starts a run in any app; returns its id."""
    return started
