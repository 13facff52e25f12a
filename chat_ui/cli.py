"""The chat's commands: `chat-ui`, `chat-password`. Added to `anomalyst` by the entry point."""

import asyncio
import contextlib
import signal
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.settings import AgentSettings
    from chat_ui.people import People
    from chat_ui.settings import ChatSettings

_PANEL = "Agent"
MISUSED, UNAVAILABLE = 64, 75


def add_to(app: typer.Typer) -> None:
    """Add the chat's commands to the command line."""
    app.command("chat-ui", rich_help_panel=_PANEL)(_chat_ui)
    app.command("chat-password", rich_help_panel=_PANEL)(_chat_password)


def _chat_ui(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but localhost needs ANOMALYST_CHAT__PEOPLE.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8801,
) -> None:
    """Serve the chat in a browser. Without ANOMALYST_URL it starts a server of its own on this machine's stores."""
    from pydantic import ValidationError  # noqa: PLC0415 - `--help` need not wait for it

    from agent.models import UnknownModel  # noqa: PLC0415 - as above
    from chat_ui.people import PeopleUnreadable  # noqa: PLC0415 - as above
    from chat_ui.serving import ServerFailed  # noqa: PLC0415 - as above

    try:
        asyncio.run(_serve(host, port))
    except (PeopleUnreadable, UnknownModel, ValidationError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(MISUSED) from error
    except ServerFailed as error:
        typer.echo(f"error: the server did not start: {error}", err=True)
        raise typer.Exit(UNAVAILABLE) from error


async def _serve(host: str, port: int) -> None:
    from agent.settings import AgentSettings  # noqa: PLC0415 - `--help` need not wait for it
    from chat_ui.people import People, PeopleUnreadable, local_user  # noqa: PLC0415 - as above
    from chat_ui.serving import own_server  # noqa: PLC0415 - as above
    from chat_ui.settings import ChatSettings, Login  # noqa: PLC0415 - as above

    settings, agent = ChatSettings(), AgentSettings()
    passwords = settings.login is Login.PASSWORD
    if settings.people is None and not passwords:
        raise PeopleUnreadable(
            f"ANOMALYST_CHAT__LOGIN={settings.login} needs to know people: name them in ANOMALYST_CHAT__PEOPLE."
        )
    if settings.people is None and host not in {"127.0.0.1", "localhost", "::1"}:
        raise PeopleUnreadable(
            f"--host {host} can be reached from other machines: name who may log in in ANOMALYST_CHAT__PEOPLE."
        )
    if agent.url:
        token = agent.token.get_secret_value() if agent.token else None
        known = People.of_file(settings.people, passwords=passwords) if settings.people else None
        people = known or People.local(agent.user or local_user(), token)
        await _run(settings, agent, people, host, port)
        return
    if settings.people:
        raise PeopleUnreadable("ANOMALYST_CHAT__PEOPLE has tokens for a server: name its address in ANOMALYST_URL.")
    async with own_server(local_user(), settings.tenant) as server:
        people = People.local(local_user(), server.token, server.agent_token)
        await _run(settings, agent.model_copy(update={"url": f"{server.url}/mcp"}), people, host, port)


async def _run(settings: "ChatSettings", agent: "AgentSettings", people: "People", host: str, port: int) -> None:
    import uvicorn  # noqa: PLC0415 - `--help` need not wait for it

    from chat_ui.app import create_app  # noqa: PLC0415 - as above

    app = create_app(settings, agent, people)
    typer.echo(f"The chat is at http://{host}:{port}; stop it with Ctrl-C.", err=True)

    class Server(uvicorn.Server):
        """One that leaves signals alone: uvicorn raises them again when it is done, and our own server would stay behind."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    # no proxy's word is taken for where a call comes from: who may name a person is told by that
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=2, proxy_headers=False)
    serving = Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, setattr, serving, "should_exit", True)
    await serving.serve()


def _chat_password() -> None:
    """Hash a password for the file of ANOMALYST_CHAT__PEOPLE."""
    from chat_ui.people import hashed  # noqa: PLC0415 - `--help` need not wait for it

    typer.echo(hashed(typer.prompt("Password", hide_input=True, confirmation_prompt=True)))
