"""A server of the chat's own: started where no address is configured, known only to this chat, ended with it."""

import asyncio
import hashlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

_READY_SECONDS = 60.0
_OWN = ("ANOMALYST_TOKEN", "ANOMALYST_TOKENS__LISTED", "ANOMALYST_TOKENS__FILE", "ANOMALYST_MODEL", "CHAINLIT_AUTH_SECRET")
_CODE = "from server.cli import main; main()"


class ServerFailed(Exception):
    """The server did not start; the message is what it said."""


@dataclass(frozen=True)
class OwnServer:
    """Where it answers, and the tokens that only this process knows."""

    url: str
    token: str
    agent_token: str


@asynccontextmanager
async def own_server(person: str, tenant: str) -> AsyncGenerator[OwnServer]:
    """A server on a free port of this machine, for one person: one token to decide with, and one without that right.

    Raises:
        ServerFailed: it ended at once, or did not answer within a minute.
    """
    person_token, agent_token = (f"anomalyst_{secrets.token_urlsafe(32)}" for _ in range(2))
    lines = (
        _line(person, "read+run+feedback+approve", tenant, person_token),
        _line(person, "read+run+feedback", tenant, agent_token),
    )
    kept = {name: value for name, value in os.environ.items() if name not in _OWN}
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _CODE,
        "serve",
        "--port",
        str(port),
        env={**kept, "ANOMALYST_TOKENS__LISTED": " ".join(lines)},
        stderr=asyncio.subprocess.PIPE,
    )
    said: list[str] = []
    listening = asyncio.create_task(_listen(process.stderr, said))
    try:
        await _until_ready(process, f"http://127.0.0.1:{port}", said)
        yield OwnServer(f"http://127.0.0.1:{port}", person_token, agent_token)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        listening.cancel()


def _line(person: str, scopes: str, tenant: str, token: str) -> str:
    """How the server's settings spell a token: only its hash."""
    return f"{person}:{scopes}:{tenant}:{hashlib.sha256(token.encode()).hexdigest()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _listen(stream: asyncio.StreamReader | None, said: list[str]) -> None:
    """Keep the last lines, so that a failure can be told, and the pipe never fills."""
    while stream is not None and (line := await stream.readline()):
        said.append(line.decode("utf-8", "replace").rstrip())
        del said[:-20]


async def _until_ready(process: asyncio.subprocess.Process, url: str, said: list[str]) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while process.returncode is None:
                    try:
                        if (await http.get(f"{url}/readyz")).is_success:
                            return
                    except httpx.TransportError:
                        pass
                    await asyncio.sleep(0.1)
        except TimeoutError:
            said.append(f"it did not answer within {_READY_SECONDS:.0f} s")
    await asyncio.sleep(0.1)
    raise ServerFailed(" ".join(said[-3:]) or "the server ended at once. Run `anomalyst serve` to see why.")
