"""Traces go to the collector that the environment names, and nowhere else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from server.errors import InvalidInput
from server.tools.tracing import trace_if_asked

CALLS = """
import asyncio, sys
from pathlib import Path
from mcp import Client
from server.app import App
from server.settings import Settings
from server.tools.policy import Policy
from server.tools.server import build_server
from server.tools.tracing import trace_if_asked

async def main() -> None:
    assert trace_if_asked()
    with App(Settings(home=Path(sys.argv[1]), _env_file=None)) as app:
        async with Client(build_server(app, Policy.stdio(app.settings))) as client:
            await client.call_tool("list_runs", {"fleet": "secret-fleet"})

asyncio.run(main())
"""


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An address and what was posted there."""
    posted: list[tuple[str, bytes]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()
        thread.join(10)


def test_nothing_is_set_up_unless_it_is_asked_for() -> None:
    """Without an address there is no exporter."""
    assert not trace_if_asked({"OTEL_SERVICE_NAME": "x"})


def test_each_call_is_a_span_that_names_the_tool_and_no_argument(tmp_path: Path) -> None:
    """In a process of its own: what it exports to is set once for good."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with collector() as (url, posted):
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
        subprocess.run([sys.executable, "-c", CALLS, str(tmp_path)], env=environment, check=True, capture_output=True)
    assert {path for path, _ in posted} == {"/v1/traces"}
    sent = b"".join(body for _, body in posted)
    assert b"tools/call list_runs" in sent
    assert b"anomalyst" in sent
    assert b"secret-fleet" not in sent


def test_without_the_libraries_it_says_which_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than to start, and trace nothing."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(InvalidInput, match="opentelemetry-exporter-otlp-proto-http"):
        trace_if_asked({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
