"""Help is complete, and comes at once: it imports nothing heavy."""

import subprocess
import sys

import pytest
import typer

from server.cli import app

HEAVY = ("pandas", "duckdb", "sqlmodel", "sqlalchemy", "numba", "sklearn", "pyarrow", "numpy", "pydantic_settings")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined] - a group has commands


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_a_sentence(name: str) -> None:
    """The help of each command and of each of its options is there, and ends as a sentence does."""
    command = COMMANDS[name]
    assert (command.help or "").split("\n\n")[0].strip().endswith(".")
    for parameter in command.params:
        said = parameter.help or ""
        assert said.endswith("."), f"{name} {parameter.name}: {said!r}"


def test_the_issue_s_commands_are_all_there() -> None:
    """Each verb of the walk and each command that was asked for."""
    stages = {"ingest-telemetry", "engineer-features", "compute-baselines", "train-detector", "score-telemetry"}
    asked = {"persist-anomalies", "advance", "run", "runs", "show", "anomalies", "incidents", "baselines"}
    assert {*stages, *asked, "fleet", "export", "demo", "doctor", "score", "drift", "evaluate"} <= set(COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    """`anomalyst --help` has to answer in 0.3 s, which no frame or kernel library leaves room for."""
    assert _loaded_by("--help", HEAVY) == []


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    """The files of `server.cli` are light at the top."""
    assert _loaded(f"import server.cli, sys; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_listing_anomalies_loads_neither_duckdb_nor_kernels(walked: tuple) -> None:
    """`anomalies` reads SQL and nothing else, to answer within a second."""
    assert _loaded_by("anomalies", ("pandas", "duckdb", "numba", "sklearn", "structlog"), "--home", str(walked[0])) == []


def test_scoring_a_trained_run_does_not_load_scikit_learn(walked: tuple) -> None:
    """Scoring walks the packed forest."""
    home, run = walked
    assert _loaded_by("score-telemetry", ("sklearn",), run, "--home", str(home)) == []


def _loaded_by(command: str, names: tuple[str, ...], *words: str) -> list[str]:
    program = f"""
import sys
sys.argv = {["anomalyst", command, *words]!r}
from server.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([m for m in {names!r} if m in sys.modules])"""
    lines = _loaded(program).splitlines()
    return eval(lines[-1])


def _loaded(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
