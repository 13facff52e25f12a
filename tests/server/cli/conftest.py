"""The command line in this process, over a home folder of its own; one small fleet is walked once for all reading tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from server.cli import app

Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of the machine that the tests run on play no part."""
    for name in ("ANOMALYST_HOME", "ANOMALYST_STORE__URL", "ANOMALYST_TENANT", "ANOMALYST_CATALOGUE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANOMALYST_THREADS", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)


def command_line(*words: object) -> Result:
    """The command's result; a fault of ours is raised, a refusal is an exit code."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def anomalyst() -> Command:
    """Runs one command line."""
    return command_line


def printed(result: Result) -> Any:
    """The JSON that a command printed, once it is known to have succeeded."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def ok() -> Callable[[Result], Any]:
    """Reads a command's JSON."""
    return printed


@pytest.fixture(scope="session")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet of 24 devices and 6 days as a Parquet file, with rows of every fault among them."""
    folder = tmp_path_factory.mktemp("fleet")
    result = CliRunner().invoke(app, ["fleet", str(folder), "--devices", "24", "--days", "6"])
    assert result.exit_code == 0, result.output
    return folder / "telemetry.parquet"


@pytest.fixture(scope="session")
def walked(telemetry: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home folder in which the fleet was walked to the end, and the run's id; tests only read it."""
    home = tmp_path_factory.mktemp("home")
    result = CliRunner().invoke(app, ["run", str(telemetry), "--fleet", "shop", "--json", "--home", str(home)])
    return home, printed(result)["id"]
