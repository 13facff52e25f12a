"""The server as a process of its own: over stdio, beside another one, and killed in the middle of a call."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.stdio import StdioServerParameters, stdio_client

pytestmark = pytest.mark.anyio
ANOMALYST = [sys.executable, "-c", "from server.cli import main; main()"]


def environment(home: Path) -> dict[str, str]:
    """The machine's, with a home of the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANOMALYST_")}
    return {**kept, "ANOMALYST_HOME": str(home), "ANOMALYST_THREADS": "1"}


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A server process over HTTP that answers, and is killed at the end if it still lives."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*ANOMALYST, "serve", "--port", str(port)]
    with subprocess.Popen(words, env=environment(home), cwd=home.parent, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _await_health(url, process)
            yield f"{url}/mcp", process
        finally:
            process.kill()


def _await_health(url: str, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            if httpx2.get(f"{url}/healthz").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server did not start")


async def test_over_stdio_the_same_tools_answer_and_nothing_else_is_on_stdout(
    tmp_path: Path, connect: Any, era: dict[str, Any], fleet_file: Path
) -> None:
    """A stage that warns and logs does not disturb the protocol; the caller is the local user with all scopes."""
    told = StdioServerParameters(
        command=ANOMALYST[0], args=[*ANOMALYST[1:], "serve", "--stdio"], env=environment(tmp_path / "home"), cwd=tmp_path
    )
    with (tmp_path / "log").open("w") as log:
        async with connect(stdio_client(told, errlog=log), **era) as client:
            answer = await client.ok("ingest_telemetry", location=str(fleet_file), fleet="shop")
            assert "lacks the scope" not in await client.refused("apply_feedback", suggestion="s-none")
            assert "Call engineer_features next." in await client.refused("train_detector", run=answer["run"])
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["tool"] for line in lines if line.get("event") == "call"} >= {"ingest_telemetry", "train_detector"}


def test_a_second_server_over_the_same_stores_is_told_so_and_sigterm_ends_the_first_cleanly(tmp_path: Path) -> None:
    """One process owns the stores: the other ends with the code for "another process holds them"."""
    home = tmp_path / "home"
    with serving(home) as (_, process):
        words = [*ANOMALYST, "serve", "--stdio"]
        second = subprocess.run(words, env=environment(home), cwd=tmp_path, capture_output=True, text=True, check=False)
        assert second.returncode == 75
        assert second.stdout == ""
        assert "another" in second.stderr.lower()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


async def test_a_server_killed_in_mid_call_leaves_nothing_half_done(tmp_path: Path, connect: Any) -> None:
    """kill -9 while a run is walked: the next server says where the run stands, and goes on from there to the end."""
    home = tmp_path / "home"
    asked = {"location": "demo", "connector": "synthetic", "options": {"devices": "60", "days": "12"}, "request_id": "one"}
    with serving(home) as (url, process):
        async with connect(url) as client:
            run = (await client.ok("ingest_telemetry", **asked))["run"]
            await client.ok("advance_run", run=run, wait=False)
            async with asyncio.timeout(60):
                while (await client.ok("get_run", run=run))["stages"][1]["state"] != "done":
                    await asyncio.sleep(0.02)
            process.kill()
    with serving(home) as (url, _):
        async with connect(url) as client:
            answer = await client.ok("get_run", run=run)
            assert answer["walking"] is None
            assert answer["next_tool"] not in {None, "ingest_telemetry", "engineer_features"}
            assert {stage["state"] for stage in answer["stages"]} <= {"done", "missing"}
            assert (await client.ok("ingest_telemetry", **asked))["run"] == run, "a request sent again finds its run"
            assert (await client.ok("advance_run", run=run))["complete"]
            assert len((await client.ok("list_runs"))["runs"]) == 1


def test_the_python_client_of_the_docs_runs(tmp_path: Path) -> None:
    """As it is printed, but for the port."""
    page = (Path(__file__).parents[3] / "docs/mcp.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    with serving(tmp_path / "home") as (url, _):
        told = code.replace("http://127.0.0.1:8800/mcp", url)
        ran = subprocess.run([sys.executable, "-c", told], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "persist_anomalies" in ran.stdout
    assert len(ran.stdout.splitlines()) > 3


def test_the_configurations_of_the_docs_are_json_and_start_what_there_is() -> None:
    """Each names the address that `serve` has by default, or starts `serve` with options that it has."""
    page = (Path(__file__).parents[3] / "docs/mcp.md").read_text()
    found = [json.loads(block.partition("```")[0]) for block in page.split("```json\n")[1:]]
    told = [each.get("servers") or each.get("mcpServers") for each in found]  # other blocks are arguments of a call
    servers = [server for each in told if each for server in each.values()]
    assert len(servers) == 5
    for server in servers:
        if "args" in server:
            assert server["args"] == ["serve", "--stdio"]
        else:
            assert server["url"] in {"http://127.0.0.1:8800/mcp", "https://anomalyst.example/mcp"}
