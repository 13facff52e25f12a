"""`anomalyst chat`: a destructive call is put to whoever sits at the terminal, and the server has the last word."""

from contextlib import asynccontextmanager

import pytest
import typer
from typer.testing import CliRunner

from agent.cli import add_to

ASKED = "The agent wants to call apply_feedback"
FIX = "Too many battery alerts on the S21, suggest a correction"


@pytest.fixture
def terminal(state, talk, monkeypatch):
    """Types lines into a chat with the fake server; gives what was printed."""

    @asynccontextmanager
    async def session(_settings):
        async with talk(state) as conversation:
            yield conversation

    monkeypatch.setattr("agent.sessions.session", session)
    app = typer.Typer()
    add_to(app)

    def typed(*lines):
        done = CliRunner().invoke(app, ["chat"], input="".join(f"{line}\n" for line in (*lines, "")))
        assert done.exit_code == 0, done.output
        return done.output

    return typed


def applied(state):
    return [args for tool, args in state.calls if tool == "apply_feedback"]


def test_no_at_the_terminal_holds_the_call(state, terminal):
    """It does not reach the server, and the answer says where a person decides."""
    printed = terminal(FIX, "apply it", "n")
    assert ASKED in printed
    assert "anomalyst approve" in printed
    assert not applied(state)
    assert state.version == 1


def test_yes_at_the_terminal_is_not_enough_for_the_server(state, terminal):
    """The call goes out, and is refused: no person's approval is stored there."""
    printed = terminal(FIX, "apply it", "y")
    assert ASKED in printed
    assert len(applied(state)) == 1
    assert "pending" in printed
    assert state.version == 1


def test_yes_at_the_terminal_applies_what_was_approved_in_the_server(state, terminal):
    """Only then the version changes, and both are told."""
    state.approved = True
    printed = terminal(FIX, "apply it", "y")
    assert "1 → 2" in printed
    assert state.version == 2


def test_enter_is_no(state, terminal):
    """The answer that is there already is the harmless one."""
    terminal(FIX, "apply it", "")
    assert not applied(state)


def test_stopping_a_run_is_put_to_the_person_too(state, terminal):
    """Every tool that the server marks destructive is."""
    printed = terminal("cancel run demo-1", "n")
    assert "The agent wants to call cancel_run" in printed
    assert not any(tool == "cancel_run" for tool, _ in state.calls)
