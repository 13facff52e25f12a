"""What a client is told when something goes wrong: our own words whole, anything else a log id."""

import re

import pytest
import structlog
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from server import errors
from server.tools.errors import for_resources, for_tools, translated

ARGUMENTS = {
    errors.StageNotReady: ("a", "b", "missing"),
    errors.NotFound: ("run", "x"),
    errors.NotEnoughData: ("device", 3, 25),
    errors.ArtifactDamaged: ("scores", "hash", "score_telemetry"),
}


def family(kind: type[errors.AnomalystError]) -> list[type[errors.AnomalystError]]:
    """The class and all below it."""
    return [kind, *(each for child in kind.__subclasses__() if child.__module__ == "server.errors" for each in family(child))]


@pytest.mark.parametrize("kind", family(errors.AnomalystError))
def test_every_error_of_ours_is_told_word_for_word(kind) -> None:
    """As a tool's error that the model reads, and as a resource's."""
    error = kind(*ARGUMENTS.get(kind, ("what was wrong and what to do",)))
    assert isinstance(for_tools(error), ToolError)
    assert str(for_tools(error)) == str(error)
    assert str(for_resources(error)) == str(error)
    assert isinstance(for_resources(error), ResourceNotFoundError if isinstance(error, errors.NotFound) else ResourceError)


def test_anything_else_is_masked_and_logged_under_the_id_that_is_told() -> None:
    """Nothing of the message reaches the client; the log has it under the same id."""

    def fails() -> None:
        raise ZeroDivisionError("password of row 7")

    structlog.reset_defaults()  # a command run in this process before may have silenced all logs
    with structlog.testing.capture_logs() as logs, pytest.raises(ToolError) as told:
        translated(fails, for_tools)()
    log_id = re.search(r"log id ([0-9a-f]{8})", str(told.value))
    assert log_id is not None
    assert "row 7" not in str(told.value)
    assert [(entry["log_id"], str(entry["exc_info"])) for entry in logs] == [(log_id[1], "password of row 7")]


@pytest.mark.anyio
async def test_a_fault_in_a_walk_is_masked_for_its_caller(local, start, app) -> None:
    """An error that was meant for nobody, raised inside a stage, in both eras."""

    def fault(*_: object) -> None:
        raise ZeroDivisionError("secret of row 7")

    app.records.register = fault
    run = start()
    async with local() as client:
        said = await client.refused("ingest_telemetry", run=run)
        answer = await client.ok("get_run", run=run)
    assert "log id" in said
    assert "row 7" not in said + str(answer)
    assert answer["stages"][0]["state"] == "failed"


@pytest.mark.anyio
async def test_an_answer_too_long_for_any_client_is_refused_with_what_to_do(local, start, monkeypatch) -> None:
    """The limit is on the whole answer, whichever tool it is."""
    monkeypatch.setattr("server.tools.gate.MOST_CHARACTERS", 500)
    run = start()
    async with local() as client:
        assert "a smaller limit" in await client.refused("get_run", run=run)
