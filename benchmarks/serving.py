"""What reading tools cost over HTTP, against a no-op tool of a plain MCP server: `python benchmarks/serving.py HOME`.

Both servers run as processes of their own and answer the SDK's client. Rounds alternate between the two; what is compared is
the servers' own CPU time, for answers that are made anew (`fresh`) and for the same question asked again (`asked_again`).
Then many clients at once: errors, and throughput against that of the no-op. Last how long reads take while other fleets are
walked, in a copy of the home folder, against the same reads just after each walk.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
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
OTHER = {"devices": "200", "days": "30"}
STAGES = (
    "ingest_telemetry",
    "engineer_features",
    "compute_baselines",
    "train_detector",
    "score_telemetry",
    "persist_anomalies",
)
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
    """Print one JSON line a tool, then some for many clients, then those for reads beside a walk."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("home", help="the home folder of a walked fleet")
    asked.add_argument("--rounds", type=int, default=4)
    asked.add_argument("--clients", type=int, default=200)
    told = asked.parse_args()
    serve = [sys.executable, "-c", "from server.cli import main; main()", "serve", "--home", told.home, "--port"]
    with running([sys.executable, "-c", NO_OP]) as plain, running(serve) as ours:
        asyncio.run(compare(plain, ours, Path(told.home), told.rounds))
        asyncio.run(crowd(plain, ours, told.clients))
    with TemporaryDirectory() as folder:
        copy = shutil.copytree(told.home, Path(folder) / "home")
        with running([*serve[:-2], str(copy), "--port"]) as ours:
            asyncio.run(responsive(ours, told.rounds))


async def compare(plain: tuple[str, int], ours: tuple[str, int], home: Path, rounds: int) -> None:
    """CPU of each reading tool, in no-ops of the same minute: the median over rounds."""
    async with Client(plain[0]) as no_op, Client(ours[0]) as client:
        for name, arguments in CALLS:
            given = {"run": await newest_run(client)} if name == "get_run" else arguments
            told: dict[str, float] = {}
            for label, between in (("fresh", lambda: commit_beside(home)), ("asked_again", lambda: None)):
                await batch(client, name, given)
                ratios = [
                    await batch_cpu(ours[1], client, name, given, between) / await batch_cpu(plain[1], no_op, "nothing", {})
                    for _ in range(rounds)
                ]
                told[label] = round(statistics.median(ratios), 2)
            say(tool=name, no_ops=told)


def commit_beside(home: Path) -> None:
    """Write to the records from this process, and change nothing by it: no answer from before holds then."""
    with closing(sqlite3.connect(home / "anomalyst.sqlite")) as records:
        records.execute("PRAGMA synchronous = OFF")
        records.execute(f"PRAGMA user_version = {time.monotonic_ns() % 2**31}")


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


async def responsive(ours: tuple[str, int], walks: int) -> None:
    """How long reads take while other fleets are walked and trained, against the same reads just after, as ratios."""
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    async with Client(ours[0], read_timeout_seconds=600) as walker, Client(ours[0]) as client:
        fleet = ((await client.call_tool("list_runs", {"limit": 1})).structured_content or {})["runs"][0]["fleet"]
        for number in range(walks):
            told = {
                "connector": "synthetic",
                "location": "demo",
                "fleet": f"walked-{number}",
                "options": {**OTHER, "seed": str(number)},
            }
            asked: dict[str, Any] = told
            began = time.perf_counter()
            for stage in STAGES:
                doing = asyncio.create_task(walker.call_tool(stage, asked))
                phase = "training" if stage == "train_detector" else "walking"
                await latencies(client, fleet, taken, phase, lambda task=doing: not task.done())
                answer = await doing
                if answer.is_error:
                    raise RuntimeError(f"{stage}: {answer.content}")
                asked = {"run": (answer.structured_content or {})["run"]}
            over = time.perf_counter() + (time.perf_counter() - began)
            await latencies(client, fleet, taken, "idle", lambda until=over: time.perf_counter() < until)
    for reads in ("asked_again", "fresh"):
        idle = taken[reads, "idle"]
        for phase in ("training", "walking"):
            busy = taken[reads, phase]
            shares = {f"p{share}": (quantile(idle, share), quantile(busy, share)) for share in (50, 99)}
            ratios = {name: {"idle_ms": a, "busy_ms": b, "ratio": round(b / a, 2)} for name, (a, b) in shares.items()}
            say(reads=reads, during=phase, calls={"idle": len(idle), "busy": len(busy)}, **ratios)


async def latencies(
    client: Client, fleet: str, taken: dict[tuple[str, str], list[float]], phase: str, goes_on: Callable[[], bool]
) -> None:
    """Note how long each of a steady stream of reads takes: by turns the same question again, and one never asked before."""
    while goes_on():
        for reads, severity in (("asked_again", 1.0), ("fresh", 1.0 + time.perf_counter() % 1e6 / 1e6)):
            began = time.perf_counter()
            asked = {"fleet": fleet, "limit": 5, "min_severity": severity}
            if (await client.call_tool("list_anomalies", asked)).is_error:
                raise RuntimeError("a read failed")
            taken[reads, phase].append(time.perf_counter() - began)
            await asyncio.sleep(0.005)


def quantile(seconds: list[float], share: int) -> float:
    """Milliseconds below which so many of a hundred are."""
    return round(1000 * sorted(seconds)[min(len(seconds) * share // 100, len(seconds) - 1)], 1)


async def newest_run(client: Client) -> str:
    """Id of the run of the home folder that was started last."""
    return ((await client.call_tool("list_runs", {"limit": 1})).structured_content or {})["runs"][0]["run"]


async def batch(
    client: Client, name: str, arguments: dict[str, Any], calls: int = ROUND, between: Callable[[], None] = lambda: None
) -> None:
    """So many calls, one after the other, and what is to be done before each."""
    for _ in range(calls):
        between()
        answer = await client.call_tool(name, arguments)
        if answer.is_error:
            raise RuntimeError(f"{name}: {answer.content}")


async def batch_cpu(
    pid: int, client: Client, name: str, arguments: dict[str, Any], between: Callable[[], None] = lambda: None
) -> float:
    """CPU seconds of the server's process for one batch."""
    before = cpu_of(pid)
    await batch(client, name, arguments, between=between)
    return cpu_of(pid) - before


def cpu_of(pid: int) -> float:
    """User and system time of a process, threads that have ended included, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(command: list[str]) -> Generator[tuple[str, int]]:
    """Address and process of a server on a free port, once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], stderr=subprocess.DEVNULL)  # noqa: S603 - our own servers
    try:
        await_listening(port, process)
        yield f"http://127.0.0.1:{port}/mcp", process.pid
    finally:
        process.terminate()
        process.wait(20)


def await_listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Return once something answers at the port. Raises `RuntimeError` if the process ended, or took three minutes."""
    deadline = time.monotonic() + 180
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"no server at port {port}")


def say(**told: object) -> None:
    """Print one JSON line."""
    print(json.dumps(told), flush=True)  # noqa: T201 - a script speaks by printing


if __name__ == "__main__":
    main()
