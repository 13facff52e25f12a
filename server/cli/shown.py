"""What is printed: tables for people, JSON for machines. Text from telemetry is made harmless before it reaches a terminal."""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.table import Table

_WIDE = 10_000
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that move a cursor, turn the direction of text or show nothing."""


def plain(text: object) -> str:
    """The text with control, direction and invisible characters spelled out, so that it can neither hide nor steer."""
    return "".join(_spelled(sign) if unicodedata.category(sign) in _UNSEEN else sign for sign in str(text))


def _spelled(sign: str) -> str:
    return sign.encode("unicode_escape", "backslashreplace").decode("ascii")


def say(text: str, *, err: bool = False) -> None:
    """Print one line of words, made plain."""
    typer.echo(plain(text), err=err)


def say_json(content: object) -> None:
    """Print one JSON document, indented."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=True, default=str))


def as_json(model: "BaseModel") -> object:
    """What a domain object is in JSON."""
    return model.model_dump(mode="json")


def say_table(
    title: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print a table. Columns of `right` hold numbers. A terminal too narrow for all loses columns of `spare`, the first first;
    off a terminal nothing is left out or wrapped, so that a line is a row."""
    from rich.console import Console  # noqa: PLC0415 - as all of rich, only when there is a table
    from rich.measure import Measurement  # noqa: PLC0415 - as above

    cells = [tuple(plain(cell) for cell in row) for row in rows]
    width = None if sys.stdout.isatty() else _WIDE
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    shown, left = list(heads), list(spare)
    table = _table(title, shown, heads, cells, right)
    while left and Measurement.get(console, console.options, table).maximum >= console.width:
        shown.remove(left.pop(0))
        table = _table(title, shown, heads, cells, right)
    console.print(table)
    if len(shown) < len(heads):
        say(f"Not shown for want of width: {', '.join(head for head in heads if head not in shown)}. --json has all.")


def _table(
    title: str, shown: Sequence[str], heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]
) -> "Table":
    from rich import box  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(title=Text(plain(title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in shown:
        table.add_column(Text(head), justify="right" if head in right else "left", overflow="fold")
    columns = [heads.index(head) for head in shown]
    for row in rows:
        table.add_row(*(Text(row[column]) for column in columns))
    return table


def moment(time: datetime | None) -> str:
    """A time in UTC to the minute, empty for none; tables say UTC in the column's head."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def number(value: float | None) -> str:
    """A measured number in four digits, a dash for none."""
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def took(span: timedelta) -> str:
    """How long something took."""
    return f"{span.total_seconds():.1f} s"
