"""The server over HTTP: who is let in, from where, and what they may do there; the same tools as in memory."""

import hashlib
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp.client.streamable_http import streamable_http_client

from server.app import App
from server.errors import InvalidInput, Unavailable
from server.tools.desk import Desk
from server.tools.web import Guarded, doors, is_local

pytestmark = pytest.mark.anyio
SECRETS = {"reader": "read", "nightly": "read+run", "boss": "read+run+feedback+approve", "blind": "run", "rival": "read+run"}
LISTED = " ".join(
    f"{name}:{scopes}:{'rival' if name == 'rival' else 'default'}:{hashlib.sha256(f's-{name}'.encode()).hexdigest()}"
    for name, scopes in SECRETS.items()
)


class Served:
    """A server in a thread, on a port that was free."""

    def __init__(self, app: App) -> None:
        self.app, self.desk = app, Desk(app)
        opened = doors(self.desk, "127.0.0.1", 0)
        guarded = Guarded(opened.mcp, opened.security)
        config = uvicorn.Config(guarded, host="127.0.0.1", port=0, log_config=None, access_log=False, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> "Served":
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self.desk.jobs.close()

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """A plain GET."""
        return httpx2.get(self.url + path, headers=headers)

    def call(self, tool: str, headers: dict[str, str]) -> httpx2.Response:
        """A tool call in today's protocol, as raw as it gets."""
        about = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        params = {"name": tool, "arguments": {}, "_meta": about}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        usual = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": tool,
        }
        return httpx2.post(f"{self.url}/mcp", content=json.dumps(body), headers={**usual, **headers})


@pytest.fixture
def opened(settings: Callable[..., Any]) -> Iterator[Served]:
    """A server without tokens."""
    with App(settings()) as app, Served(app) as served:
        yield served


@pytest.fixture
def guarded(settings: Callable[..., Any]) -> Iterator[Served]:
    """A server that wants tokens."""
    with App(settings(tokens={"listed": LISTED})) as app, Served(app) as served:
        yield served


def bearer(name: str) -> dict[str, str]:
    """The header of that token's bearer."""
    return {"Authorization": f"Bearer s-{name}"}


@asynccontextmanager
async def as_bearer(connect: Any, served: Served, name: str, era: dict[str, Any]) -> AsyncGenerator[Any]:
    """A client that sends the token."""
    async with (
        httpx2.AsyncClient(headers=bearer(name), follow_redirects=True) as http,
        connect(streamable_http_client(f"{served.url}/mcp", http_client=http), **era) as client,
    ):
        yield client


async def test_the_local_user_needs_no_token_on_localhost(opened: Served, connect, era, fleet_file) -> None:
    """In both eras; it may walk, and may not approve."""
    async with connect(f"{opened.url}/mcp", **era) as client:
        answer = await client.ok("ingest_telemetry", location=str(fleet_file), fleet="shop")
        assert answer["next_tool"] == "engineer_features"
        assert str(fleet_file) in answer["source"], "the local user sees whole paths"


async def test_scopes_decide_which_tools_a_bearer_may_call(guarded: Served, connect, era, start_in, fleet_file) -> None:
    """Reading is not walking; the refusal names the scope; the audit trail names the bearer."""
    run = start_in(guarded.app, fleet_file)
    async with as_bearer(connect, guarded, "reader", era) as client:
        assert (await client.ok("list_runs"))["runs"][0]["run"] == run
        assert "lacks the scope `run`" in await client.refused("ingest_telemetry", run=run)
        assert "lacks the scope `feedback`" in await client.refused("suggest_rollback")
        assert "lacks the scope `run`" in await client.refused("cancel_run", nonsense=1), "before anything else is looked at"
        assert str(fleet_file.parent) not in (await client.ok("get_run", run=run))["source"], "strangers see no paths"
    async with as_bearer(connect, guarded, "nightly", era) as client:
        assert (await client.ok("ingest_telemetry", run=run))["next_tool"] == "engineer_features"
        assert "TELEMETRY__ROOTS" in await client.refused("ingest_telemetry", location=str(fleet_file))
    newest = guarded.app.records.audit("default")[0]
    assert (newest.actor, newest.action, newest.channel.split(":")[0]) == ("nightly", "ingest_telemetry", "mcp")


async def test_another_tenant_sees_nothing(guarded: Served, connect, era, start_in, fleet_file) -> None:
    """Not even that the id exists, by any tool or resource."""
    run = start_in(guarded.app, fleet_file)
    async with as_bearer(connect, guarded, "rival", era) as client:
        assert (await client.ok("list_runs"))["runs"] == []
        for tool in ("get_run", "ingest_telemetry", "advance_run", "cancel_run"):
            assert f"no run '{run}'" in await client.refused(tool, run=run)
        with pytest.raises(Exception, match=f"no run '{run}'"):
            await client.client.read_resource(f"anomalyst://runs/{run}")


async def test_without_a_good_token_nobody_is_let_in(guarded: Served) -> None:
    """401 that says where to get one; 403 for a good one that cannot even read; the rest of the server is as closed."""
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic czpz"}):
        refused = guarded.call("list_runs", headers)
        assert refused.status_code == 401
        assert "resource_metadata=" in refused.headers["www-authenticate"]
        assert 'scope="read"' in refused.headers["www-authenticate"]
    assert guarded.call("list_runs", bearer("blind")).status_code == 403
    assert guarded.call("list_runs", bearer("reader")).status_code == 200
    assert guarded.get("/metrics").status_code == 401
    assert guarded.get("/metrics", **bearer("reader")).status_code == 200
    assert guarded.get("/healthz").status_code == 200
    told = guarded.get("/.well-known/oauth-protected-resource/mcp").json()
    assert told["scopes_supported"] == ["read"]
    assert not told["authorization_servers"][0].endswith("/"), "an issuer is compared letter by letter"


@pytest.mark.parametrize("path", ["/mcp", "/healthz", "/readyz", "/metrics"])
async def test_a_foreign_host_or_origin_is_refused_everywhere(opened: Served, path: str) -> None:
    """So that no web page reaches the server through the user's browser."""
    assert opened.get(path, Host="evil.example").status_code == 421
    assert opened.get(path, Host=f"127.0.0.1.evil.example:{opened.url.rpartition(':')[2]}").status_code == 421
    assert opened.get(path, Origin="http://evil.example").status_code == 403
    assert opened.get(path, Origin="null").status_code == 403


async def test_health_and_counters_tell_of_the_server_and_of_nobody(opened: Served, connect, start_in, fleet_file) -> None:
    """Calls by tool and outcome, walks, anomalies; unknown names make no series; no device, user or id is named."""
    run = start_in(opened.app, fleet_file)
    async with connect(f"{opened.url}/mcp") as client:
        await client.ok("advance_run", run=run)
        await client.refused("no_such_tool_at_all")
        await client.refused("get_run", run="gone")
    assert opened.get("/readyz").json() == {"status": "ok"}
    text = opened.get("/metrics").text
    assert 'anomalyst_calls_total{outcome="ok",tool="advance_run"} 1.0' in text
    assert 'anomalyst_calls_total{outcome="refused",tool="unknown"} 1.0' in text
    assert 'anomalyst_calls_total{outcome="error",tool="get_run"} 1.0' in text
    assert 'anomalyst_walks_total{asked="advance_run",outcome="ok"} 1.0' in text
    assert 'anomalyst_anomalies{fleet="shop"}' in text
    assert "anomalyst_walks_waiting 0.0" in text
    assert run not in text
    assert "no_such_tool" not in text


async def test_readiness_is_refused_while_a_store_does_not_answer(opened: Served) -> None:
    """By its class only."""

    def fail(*_: object, **__: object) -> None:
        raise Unavailable("secret place")

    opened.app.records.runs = fail
    answer = opened.get("/readyz")
    assert (answer.status_code, answer.json()["error"]) == (503, "Unavailable")
    assert "secret" not in answer.text


async def test_a_body_that_is_too_large_is_refused(opened: Served) -> None:
    """Before it is parsed."""
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    assert httpx2.post(f"{opened.url}/mcp", content=b"[" * (2 << 20), headers=headers).status_code == 413


async def test_a_bearer_who_calls_too_often_is_told_how_long_to_wait(settings, connect, era) -> None:
    """Each bearer for itself."""
    with App(settings(tokens={"listed": LISTED}, serve={"calls_per_minute": 8})) as app, Served(app) as served:
        async with as_bearer(connect, served, "reader", era) as client:
            answers = [await client.client.call_tool("list_runs", {}) for _ in range(5)]
            assert [answer.is_error for answer in answers[:2]] == [False, False]
            assert answers[-1].is_error
            assert "too many calls from reader. Wait" in answers[-1].content[0].text
        async with as_bearer(connect, served, "nightly", era) as client:
            await client.ok("list_runs")


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_counts_as_localhost(host: str, local: bool) -> None:
    """Only what no other machine can reach."""
    assert is_local(host) is local


def test_a_server_open_to_others_without_tokens_does_not_start(desk: Desk) -> None:
    """The refusal says how to make one."""
    with pytest.raises(InvalidInput, match="anomalyst token"):
        doors(desk, "0.0.0.0", 8800)
