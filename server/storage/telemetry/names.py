"""Codes for names: device ids, cohorts, stores, customers and splits are stored once and referred to by small integers.

Codes follow arrival, so they never leave the store: what is read out are ranks in sorted order.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from server.errors import InvalidInput
from server.storage.telemetry.parsing import is_text, plain

Codes = NDArray[np.int32]


class Kind(StrEnum):
    """What a name names."""

    DEVICE = "device"
    COHORT = "cohort"
    STORE = "store"
    CUSTOMER = "customer"
    SPLIT = "split"


class Names:
    """The codes of one fleet: known ones from the store, new ones given in order of appearance."""

    def __init__(self, known: Mapping[Kind, Sequence[str]]) -> None:
        self._codes = {kind: {text: code for code, text in enumerate(known.get(kind, ()))} for kind in Kind}
        self._known = {kind: len(codes) for kind, codes in self._codes.items()}

    def fresh(self, kind: Kind) -> list[str]:
        """Names not in the store yet, in order of appearance."""
        return list(self._codes[kind])[self._known[kind] :]

    def known(self, kind: Kind) -> int:
        """How many names the store has: the first code of a new one."""
        return self._known[kind]

    def encode(self, kind: Kind, column: pa.Array | None, rows: int) -> Codes:
        """int32 codes of the column's cells, -1 for empty or blank ones."""
        if column is None:
            return np.full(rows, -1, np.int32)
        indices, texts = _distinct(column)
        used = np.zeros(len(texts) + 1, bool)
        used[indices] = True
        lookup = [self._code(kind, text) if seen else -1 for text, seen in zip(texts, used, strict=False)]
        return np.array([*lookup, -1], np.int32)[indices]

    def encode_cohorts(self, columns: Mapping[str, pa.Array], rows: int) -> Codes:
        """int32 codes of the rows' cohorts: one code a combination of known column values, -1 where none is known."""
        if not columns:
            return np.full(rows, -1, np.int32)
        combination = np.zeros(rows, np.int64)
        parts: list[tuple[str, list[str | None]]] = []
        for name, column in sorted(columns.items()):
            indices, texts = _distinct(column)
            combination = combination * (len(texts) + 1) + np.where(indices < 0, len(texts), indices)
            parts.append((name, [*texts, None]))
        distinct, inverse = np.unique(combination, return_inverse=True)
        codes = [self._code(Kind.COHORT, _cohort_text(int(number), parts)) for number in distinct]
        return np.array(codes, np.int32)[inverse]

    def _code(self, kind: Kind, text: str | None) -> int:
        if text is None or not text.strip():
            return -1
        codes = self._codes[kind]
        return codes.setdefault(text, len(codes))


def cohort_values(text: str) -> dict[str, str]:
    """The known column values of a stored cohort name."""
    return json.loads(text)


def _cohort_text(number: int, parts: Sequence[tuple[str, list[str | None]]]) -> str:
    values: dict[str, str] = {}
    for name, texts in reversed(parts):
        number, index = divmod(number, len(texts))
        text = texts[index]
        if text is not None and text.strip():
            values[name] = text
    return json.dumps(values, sort_keys=True, ensure_ascii=False) if values else ""


def _distinct(column: pa.Array) -> tuple[NDArray[np.int64], list[str | None]]:
    """Index of each cell's text in the list of distinct texts, -1 for null."""
    try:
        cells: Any = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        texts = cells.dictionary if is_text(plain(cells.dictionary).type) else cells.dictionary.cast(pa.string())
        listed = texts.to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:  # nested cells, or bytes of no text
        raise InvalidInput(f"a column of names cannot be read as text: {error}. Write it anew, as text in UTF-8.") from error
    return cells.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False), listed
