"""What reading tools cost over HTTP, against a no-op tool of a plain MCP server: `python benchmarks/serving.py HOME`.

Both servers run as processes of their own and answer the SDK's client. Rounds alternate between the two; what is compared is
the servers' own CPU time. Then many clients at once: errors, and throughput against that of the no-op.
"""

import argparse
import asyncio
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

from mcp import Client

CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("list_runs", {"limit": 5}),
    ("get_run", {}),
    ("list_incidents", {"limit": 5}),
    ("list_anomalies", {"limit": 5}),
    ("get_detector", {}),
    ("list_baselines", {"limit": 5}),
    ("list_suggestions", {}),
    ("get_overview", {}),
)
ROUND = 60
NO_OP = """
import sys, uvicorn
from mcp.server import MCPServer
server = MCPServer("plain")

@server.tool()
def nothing() -> str:
    '''Do nothing.'''
    return "nothing"

uvicorn.run(server.streamable_http_app(streamable_http_path="/mcp"), port=int(sys.argv[1]), log_config=None, access_log=False)
"""


def main() -> None:
    """Print one JSON line a tool, then one for many clients."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("home", help="the home folder of a walked fleet")
    asked.add_argument("--rounds", type=int, default=4)
    asked.add_argument("--clients", type=int, default=200)
    told = asked.parse_args()
    serve = [sys.executable, "-c", "from server.cli import main; main()", "serve", "--home", told.home, "--port"]
    with running([sys.executable, "-c", NO_OP]) as plain, running(serve) as ours:
        asyncio.run(compare(plain, ours, told.rounds))
        asyncio.run(crowd(plain, ours, told.clients))


async def compare(plain: tuple[str, int], ours: tuple[str, int], rounds: int) -> None:
    """CPU of each reading tool, in no-ops of the same minute: the median over rounds."""
    async with Client(plain[0]) as no_op, Client(ours[0]) as client:
        runs = (await client.call_tool("list_runs", {"limit": 1})).structured_content or {}
        run = runs["runs"][0]["run"]
        for name, arguments in CALLS:
            given = {"run": run} if name == "get_run" else arguments
            await batch(client, name, given)
            ratios = [
                await batch_cpu(ours[1], client, name, given) / await batch_cpu(plain[1], no_op, "nothing", {})
                for _ in range(rounds)
            ]
            say(tool=name, no_ops=round(statistics.median(ratios), 2))


async def crowd(plain: tuple[str, int], ours: tuple[str, int], clients: int) -> None:
    """Calls a second and errors with many clients at once."""
    rates: dict[str, float] = {}
    for label, (url, _), name in (("no-op", plain, "nothing"), ("list_runs", ours, "list_runs")):
        started = time.perf_counter()
        outcomes = await asyncio.gather(*(visit(url, name) for _ in range(clients)), return_exceptions=True)
        errors = [each for each in outcomes if each is not None]
        rates[label] = 3 * clients / (time.perf_counter() - started)
        say(clients=clients, tool=label, errors=len(errors), first_error=str(errors[0])[:200] if errors else "")
    say(throughput=round(rates["list_runs"] / rates["no-op"], 2), a_second={name: round(rate) for name, rate in rates.items()})


async def visit(url: str, name: str) -> None:
    """One client that connects and calls three times. Raises what went wrong."""
    async with Client(url) as client:
        await batch(client, name, {}, 3)


async def batch(client: Client, name: str, arguments: dict[str, Any], calls: int = ROUND) -> None:
    """So many calls, one after the other."""
    for _ in range(calls):
        answer = await client.call_tool(name, arguments)
        if answer.is_error:
            raise RuntimeError(f"{name}: {answer.content}")


async def batch_cpu(pid: int, client: Client, name: str, arguments: dict[str, Any]) -> float:
    """CPU seconds of the server's process for one batch."""
    before = cpu_of(pid)
    await batch(client, name, arguments)
    return cpu_of(pid) - before


def cpu_of(pid: int) -> float:
    """User and system time of a process, threads that have ended included, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(command: list[str]) -> Iterator[tuple[str, int]]:
    """Address and process of a server on a free port, once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], stderr=subprocess.DEVNULL)  # noqa: S603 - our own servers
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/mcp", process.pid
    finally:
        process.terminate()
        process.wait(20)


def say(**told: object) -> None:
    """Print one JSON line."""
    print(json.dumps(told), flush=True)  # noqa: T201 - a script speaks by printing


if __name__ == "__main__":
    main()
