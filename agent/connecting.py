"""Where the server is: an address, a process of our own, or one in this process."""

import os
import sys
import warnings
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fastmcp.client.transports import StdioTransport
from pydantic_ai import RunContext
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset

from agent.asking import Asking
from agent.settings import AgentSettings

_START_SECONDS = 60
"""A server of our own opens its stores before it answers."""
_PASSED_ON = ("ANOMALYST_", "PATH", "HOME", "LANG", "LC_", "TZ", "VIRTUAL_ENV", "XDG_")
_NOT_PASSED_ON = ("ANOMALYST_TOKEN", "ANOMALYST_MODEL")


class ServerUnreachable(Exception):
    """There is no server to talk with; the message says why and what to do."""


def tools_of(settings: AgentSettings, server: Any = None) -> AbstractToolset[Asking]:
    """The server's tools. `server` is an MCP server in this process or a transport; else the setting `url`, else a process.

    A refused call is told to the model, which can then do what the refusal says. A call that the server marks destructive
    waits for approval here; the server enforces its own rules whatever is approved here.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`elicitation_handler` will never be called")
        toolset: MCPToolset[Asking] = MCPToolset(
            server or settings.url or own_process(),
            id="anomalyst",
            tool_error_behavior="failed",
            init_timeout=_START_SECONDS,
            auth=_bearer if settings.url and not server else None,
        )
    return toolset.approval_required(is_destructive)


def own_process(log: Path | None = None) -> StdioTransport:
    """`anomalyst serve --stdio`, started for this session. What it says on standard error goes to `log`, if one is named."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON) and name not in _NOT_PASSED_ON}
    code = "from server.cli import main; main()"
    return StdioTransport(sys.executable, ["-c", code, "serve", "--stdio"], env=kept, log_file=log)


@asynccontextmanager
async def connected(analyst: AbstractAsyncContextManager[Any], settings: AgentSettings, log: Path) -> AsyncGenerator[None]:
    """Inside, the server answers. `log` is what a server of our own writes to. Raises `ServerUnreachable`."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(analyst)
        except Exception as error:  # whatever it is, nothing was asked yet: the MCP client's own classes are not ours to import
            raise ServerUnreachable(_why(settings, log, error)) from error
        yield


def _why(settings: AgentSettings, log: Path, error: Exception) -> str:
    if settings.url:
        return f"no server answers at {settings.url} ({error}). Start `anomalyst serve` there, and check ANOMALYST_TOKEN."
    said = (
        [line for line in log.read_text("utf-8", "replace").splitlines() if line.startswith("error: ")] if log.exists() else []
    )
    if said:
        server = said[-1].removeprefix("error: ")
        return f"the server did not start: {server} ANOMALYST_URL or --url reaches a server that is running."
    return (
        f"the server did not start within {_START_SECONDS} s, or ended ({error}). Try `anomalyst serve` by itself to see why."
    )


def is_destructive(_ctx: RunContext[Asking], tool: ToolDefinition, _args: dict[str, Any]) -> bool:
    """Whether the server says that the tool destroys or overrides something."""
    annotations = (tool.metadata or {}).get("annotations") or {}
    return annotations.get("destructiveHint") is True


def _bearer(ctx: RunContext[Asking]) -> str | None:
    return ctx.deps.token
