"""Untrusted text cannot steer a terminal: neither by escapes nor by markup nor by turning its direction."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli.shown import number, plain, say_table

EVIL = "\x1b[31mred\x1b]0;title\x07 [bold red]markup[/] \u202eabc \u200b\x00\r\n :smile:"


@given(st.text())
def test_plain_text_has_nothing_unprintable(text: str) -> None:
    """Whatever comes in, only printable signs come out, and printable text is left as it is."""
    shown = plain(text)
    assert all(sign.isprintable() for sign in shown.replace("\u3000", "").replace("\xa0", "") if not sign.isspace())
    assert not set(shown) & set("\x1b\n\r\t\x00\u202e\u2028")
    if text.isprintable() and text.isascii():
        assert shown == text


def test_a_table_shows_evil_text_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """In titles and cells alike."""
    say_table(EVIL, ("device",), [(EVIL,)])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert said.count("[bold red]markup[/]") == 2
    assert said.count("\\u202e") == 2
    assert said.count(":smile:") == 2


def test_off_a_terminal_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is wrapped, cut or left out where the output goes into a pipe."""
    say_table("t", ("a", "b"), [("x" * 500, "end")], spare=("b",))
    assert any(line.split() == ["x" * 500, "end"] for line in capsys.readouterr().out.splitlines())


def test_a_device_name_with_escapes_reaches_no_terminal(anomalyst, tmp_path: Path) -> None:
    """From the file through the stores into table and error: never a raw escape."""
    rows = [f"\x1b[2Jd{n},2025-01-{1 + i // 24:02d}T{i % 24:02d}:00:00,{n + i % 5}" for n in range(2) for i in range(96)]
    rows[40] = rows[40].rsplit(",", 1)[0] + ",900"
    (tmp_path / "t.csv").write_text("\n".join(["device,time,[red]load[/]", *rows]))
    assert anomalyst("run", "t.csv", "--home", tmp_path).exit_code == 0
    said = anomalyst("anomalies", "--home", tmp_path).stdout
    assert "\\x1b[2Jd" in said
    assert "[red]load[/]" in said
    refused = anomalyst("show", "\x1b[2J", "--home", tmp_path)
    assert "\x1b" not in said + refused.stderr


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (0.0, "0"), (-61.912345, "-61.91"), (4417886.4, "4,417,886")])
def test_numbers_are_short(value: float | None, shown: str) -> None:
    """Four digits are enough for a person."""
    assert number(value) == shown
