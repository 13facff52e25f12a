"""`anomalyst backup` and `anomalyst restore`: a round trip, and what they refuse."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

Command = Callable[..., Result]
Ok = Callable[[Result], Any]


def test_what_was_backed_up_is_shown_again(anomalyst: Command, ok: Ok, walked: tuple[Path, str], tmp_path: Path) -> None:
    """The same incidents; the audit trail says that it was restored."""
    home, _ = walked
    told = ok(anomalyst("backup", "whole.tar", "--json", "--home", home))
    assert {"records.sqlite", "telemetry.duckdb"} < {member["name"] for member in told["members"]}
    ok(anomalyst("restore", "whole.tar", "--json", "--home", tmp_path / "new"))
    before, after = (ok(anomalyst("incidents", "--json", "--home", place)) for place in (home, tmp_path / "new"))
    assert before == after
    entries = ok(anomalyst("audit", "--json", "--home", tmp_path / "new"))["entries"]
    assert entries[0]["action"] == "restore"


def test_while_a_server_has_the_stores_both_say_so(anomalyst: Command, walked: tuple[Path, str], tmp_path: Path) -> None:
    """With the exit code for a busy store; nothing is written, nothing is replaced."""
    anomalyst("backup", "whole.tar", "--home", walked[0])
    anomalyst("restore", "whole.tar", "--home", tmp_path / "new")
    kept = sorted(path.name for path in (tmp_path / "new").iterdir())
    with _another_process_holding(tmp_path / "new/telemetry.duckdb"):
        asked = {("backup", "other.tar"): "Ask it for a backup", ("restore", "whole.tar", "--force"): "Stop it"}
        for words, next_step in asked.items():
            result = anomalyst(*words, "--home", tmp_path / "new")
            assert result.exit_code == 75
            assert f"a server has the stores open. {next_step}" in result.output
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == kept
    assert not Path("other.tar").exists()


class _another_process_holding:  # noqa: N801 - used like a function
    """A process that has the telemetry store open, as a server has."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        code = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(self.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __exit__(self, *_: object) -> None:
        self.process.communicate("")
