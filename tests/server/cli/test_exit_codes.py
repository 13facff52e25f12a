"""Every refusal ends with its documented exit code and a line on stderr, never with a traceback."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli import root
from server.cli.exit_codes import ENDINGS
from server.errors import AnomalystError
from server.services.walk import Walk


def _family(kind: type[AnomalystError]) -> Iterator[type[AnomalystError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == "server.errors":
            yield from _family(child)


@pytest.mark.parametrize("kind", list(_family(AnomalystError)))
def test_every_error_class_is_documented(kind: type[AnomalystError]) -> None:
    """`anomalyst help exit-codes` has a row for the class, with the code that the class carries."""
    assert [each.code for each in ENDINGS if each.error is kind] == [kind.exit_code]


def test_help_prints_every_exit_code(anomalyst, ok) -> None:
    """The table is what the help shows."""
    rows = ok(anomalyst("help", "exit-codes", "--json"))
    assert [row["code"] for row in rows] == [each.code for each in ENDINGS]
    text = anomalyst("help").stdout
    assert all(each.meaning in text for each in ENDINGS)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("run", "nowhere.csv"), 64, "nowhere.csv"),
        (("show", "no-such-run"), 66, "no run 'no-such-run'"),
        (("anomalies", "--run", "no-such-run"), 66, "no run"),
        (("run", "x.csv", "--detector", "hybird"), 66, "Did you mean hybrid?"),
        (("run", "x.csv", "--connector", "flies"), 66, "Did you mean files?"),
        (("run", "x.csv", "--fleet", "Not A Name"), 64, "Not A Name"),
        (("run", "x.csv", "--contamination", "0.9"), 64, "--contamination"),
        (("run", "x.csv", "--domain-weight", "battery"), 64, "key=value"),
        (("run", "x.csv", "--domain-weight", "battery=much"), 64, "battery=2"),
        (("run", "x.csv", "--option", "device=a", "--device-column", "a"), 64, "device"),
        (("run", "x.csv", "--window", "soon"), 2, "duration"),
        (("anomalies", "--since", "yesterday"), 64, "--since"),
        (("baselines", "--fleet", "nobody"), 66, "nobody"),
        (("export", "scores", "--out", "scores.xlsx"), 64, ".csv or .parquet"),
        (("export", "scores", "--out", "scores.csv"), 66, "runs"),
        (("score", "x.csv", "--out", "no/such/folder.parquet"), 64, "folder"),
        (("fleet", "out", "--option", "devcies=3"), 64, "devices"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_a_refusal_names_what_was_wrong(anomalyst, words: tuple[str, ...], code: int, says: str) -> None:
    """The message is on stderr, starts with `error:` and names the culprit; stdout stays empty."""
    result = anomalyst(*words)
    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert code == 2 or result.stderr.startswith("error: ")
    assert result.stdout == ""


def test_a_wrong_setting_is_named(anomalyst, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that cannot be used is a refusal too."""
    monkeypatch.setenv("ANOMALYST_THREADS", "many")
    result = anomalyst("runs")
    assert result.exit_code == 64
    assert "ANOMALYST_THREADS" in result.stderr


def test_the_process_ends_with_the_exit_code(tmp_path: Path) -> None:
    """What the shell sees is the error's exit code and one line, no traceback."""
    words = ["-c", "from server.cli import main; main()", "show", "gone", "--home", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (66, 1)


def test_a_fault_of_ours_is_said_in_two_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that nobody foresaw ends with 70 and says how to see more, unless that was asked for."""

    def broken() -> None:
        raise ZeroDivisionError("by \x1b[31m nothing")

    monkeypatch.setattr(root, "app", broken)
    with pytest.raises(SystemExit) as ended:
        root.main()
    assert ended.value.code == 70
    said = capsys.readouterr().err
    assert "ZeroDivisionError: by \\x1b[31m nothing" in said
    assert "ANOMALYST_TRACEBACK=1" in said
    monkeypatch.setenv("ANOMALYST_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        root.main()


def test_ctrl_c_in_a_walk_says_how_to_go_on(
    anomalyst, telemetry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run keeps what is done, the exit code is that of an interrupt, and the audit trail has it."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Walk, "advance", interrupted)
    result = anomalyst("run", telemetry, "--home", tmp_path)
    assert result.exit_code == 130
    assert "anomalyst advance default-" in result.stderr
    assert "KeyboardInterrupt" in anomalyst("audit", "--home", tmp_path).stdout
