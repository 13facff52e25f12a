"""A table that sorts, pages and downloads."""

from collections.abc import Sequence
from typing import Any


def sheet_props(title: str, note: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> dict[str, Any]:
    """Props of `Sheet`; a column is numeric where every value that it has is."""
    values = [[row[at] for row in rows if row[at] is not None] for at in range(len(columns))]
    numeric = [bool(column) and all(isinstance(value, int | float) for value in column) for column in values]
    return {
        "title": title,
        "note": note,
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "numeric": numeric,
        "name": name,
    }
