"""One process, one app: the routes here, MCP beside them, and one check of host and origin around both."""

import pytest

from server.api.app import build_api
from server.tools.desk import Desk
from server.tools.web import doors

URL = "http://127.0.0.1:8800"
ASKED = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}
    },
}  # fmt: skip
SPOKEN = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def both(changing):
    """The app of a server with tokens as `anomalyst serve` joins it."""
    with Desk(changing.desk.app) as desk:
        opened = doors(desk, "127.0.0.1", 8800)
        changing.api = build_api(desk, opened.security, opened.verifier, beside=opened.mcp)
        yield changing


def test_mcp_and_http_are_answered_by_one_app(both):
    """The MCP app's lifespan runs, its own checks stand, and no path of one is taken by the other."""
    with both.client("reader") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/api/v1/runs").status_code == 200
        assert client.get("/api/v1/nothing").headers["content-type"] == "application/problem+json"
        answer = client.post("/mcp", json=ASKED, headers=SPOKEN)
        assert answer.status_code == 200, answer.text
        assert "anomalyst" in answer.text
        assert client.get("/approvals").status_code == 303
    stranger = both.client()
    assert stranger.post("/mcp", json=ASKED, headers=SPOKEN).status_code == 401
    assert stranger.get("/api/v1/runs").status_code == 401


def test_what_is_beside_is_behind_the_same_check(both):
    """A hostile host or origin gets no answer from either."""
    client = both.client("reader")
    for path in ("/mcp", "/healthz", "/metrics", "/api/v1/runs"):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 421
        assert client.get(path, headers={"Origin": "http://evil.example"}).status_code == 403
