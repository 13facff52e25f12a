"""What is said when there is no server to talk with."""

import pytest

from agent.building import build_agent
from agent.connecting import ServerUnreachable, connected, own_process
from agent.settings import AgentSettings
from server.app import App
from server.settings import Settings

pytestmark = pytest.mark.anyio


async def test_a_server_that_cannot_start_says_why_and_what_reaches_one(tmp_path, monkeypatch):
    """The stores are held by another process: it is named, and so is the setting that reaches a running server."""
    home, log = tmp_path / "home", tmp_path / "server.log"
    monkeypatch.setenv("ANOMALYST_HOME", str(home))
    settings = AgentSettings(_env_file=None, url=None)
    with App(Settings(home=home, threads=1, _env_file=None)) as app:
        app.open_stores()
        with pytest.raises(ServerUnreachable, match=r"another process holds .*ANOMALYST_URL"):
            async with connected(build_agent(settings, server=own_process(log)), settings, log):
                pytest.fail("it must not be reached")
