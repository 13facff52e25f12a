"""The commands of the server: `serve` answers MCP clients, `token` makes a token for one."""

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import AsJson, Home
from server.cli.session import opened, settings_of
from server.cli.shown import say, say_json
from server.errors import InvalidInput

if TYPE_CHECKING:
    from server.app import App

_PANEL = "Serve"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("serve", rich_help_panel=_PANEL)(_serve)
    app.command("token", rich_help_panel=_PANEL)(_token)


def _serve(
    *,
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak over standard input and output instead.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on; any but localhost needs tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8800,
    home: Home = None,
) -> None:
    """Serve the tools over MCP: at http://HOST:PORT/mcp, or over --stdio."""
    from server.tools.logs import configure_logs  # noqa: PLC0415 - `--help` need not wait for it
    from server.tools.responsive import stay_responsive  # noqa: PLC0415 - as above
    from server.tools.tracing import trace_if_asked  # noqa: PLC0415 - as above

    configure_logs()
    trace_if_asked()
    stay_responsive()
    signal.signal(signal.SIGTERM, _leave)
    with opened(home) as app:
        app.open_stores()  # one process owns the stores for as long as it serves
        _over_stdio(app) if stdio else _over_http(app, host, port)


def _leave(_: int, __: object) -> None:
    """End as after Ctrl-D, so that walks are stopped and stores closed on the way out."""
    raise SystemExit(0)


def _over_stdio(app: "App") -> None:
    from server.tools.desk import Desk  # noqa: PLC0415 - `--help` need not wait for it
    from server.tools.policy import Policy  # noqa: PLC0415 - as above
    from server.tools.server import build_server  # noqa: PLC0415 - as above

    with Desk(app) as desk:
        build_server(app, Policy.stdio(app.settings), desk).run("stdio")


def _over_http(app: "App", host: str, port: int) -> None:
    import uvicorn  # noqa: PLC0415 - `--help` need not wait for it

    from server.api.app import build_api  # noqa: PLC0415 - as above
    from server.tools.desk import Desk  # noqa: PLC0415 - as above
    from server.tools.web import PATH, doors  # noqa: PLC0415 - as above

    with Desk(app) as desk:
        opened = doors(desk, host, port)
        served = build_api(desk, opened.security, opened.verifier, beside=opened.mcp)
        address = f"http://{host}:{port}"
        say(f"MCP at {address}{PATH}, HTTP at {address}/api/v1, approvals at {address}/approvals. Ctrl-C stops it.", err=True)
        uvicorn.run(served, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5)


def _token(
    name: Annotated[str, typer.Argument(help="Who bears it: a person or a program.")],
    scopes: Annotated[
        str, typer.Option(help="What it may do: some of read, run, feedback, approve, maintain, joined by +.")
    ] = "read",
    tenant: Annotated[str | None, typer.Option(help="Whose fleets it reaches (default: the configured tenant).")] = None,
    json: AsJson = False,
    home: Home = None,
) -> None:
    """Make a token for a client over HTTP, and the line that lets the server know it. The token is shown this once."""
    import secrets  # noqa: PLC0415 - only here

    from server.settings import TokenSettings  # noqa: PLC0415 - `--help` need not wait for it
    from server.tools.tokens import digest_of, static_tokens  # noqa: PLC0415 - as above

    token = f"anomalyst_{secrets.token_urlsafe(32)}"
    line = f"{name}:{scopes}:{tenant or settings_of(home).tenant}:{digest_of(token)}"
    try:
        next(static_tokens(TokenSettings(listed=line)))
    except (InvalidInput, StopIteration) as error:
        raise InvalidInput(
            f"{name!r} with scopes {scopes!r} makes no token. Write a name without blanks, scopes such as read+run."
        ) from error
    if json:
        say_json({"token": token, "line": line})
        return
    say(f"Token, for the client: {token}")
    say(f"Line, for ANOMALYST_TOKENS__LISTED or the file of ANOMALYST_TOKENS__FILE: {line}")
