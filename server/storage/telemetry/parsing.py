"""Cells as they came to numbers and times, without losing what cannot be read: every function also returns a mask of it."""

# pyarrow makes its compute functions when it is imported, so a checker does not see them
# pyright: reportAttributeAccessIssue=false

from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]
Micros = NDArray[np.int64]

_NO_VALUE = pa.array(["", "na", "n/a", "nan", "-nan", "null", "none", "nil", "-", "#n/a"])
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"
_MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_LARGEST = np.iinfo(np.int64).max
_TEXT_TO_TIME = """
    SELECT CASE WHEN isfinite(moment) THEN epoch_us(moment) END AS micros, try_cast(text AS DOUBLE) AS number
    FROM (SELECT text, position, try_cast(text AS TIMESTAMPTZ) AS moment FROM cells) ORDER BY position
"""


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of this type are text that still has to be read."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def plain(column: pa.Array) -> pa.Array:
    """The column with a dictionary encoding undone."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def numbers(column: pa.Array) -> tuple[Values, Mask | None]:
    """The column as float64, NaN where missing, and a mask of cells that are no number (None if all are)."""
    column = plain(column)
    if is_text(column.type):
        return _numbers_from_text(column)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        column, malformed = _cast_or_blank(column)
        return _floats(column), malformed
    return _floats(column), None


def times(column: pa.Array) -> tuple[Micros, Mask, Mask]:
    """The column as microseconds since 1970 UTC (0 where not known), a mask of empty cells and one of unreadable cells.

    Times without a zone are UTC. Plain numbers are seconds, milli-, micro- or nanoseconds since 1970, told apart by size.
    """
    column = plain(column)
    missing = _nulls(column)
    if pa.types.is_timestamp(column.type):
        return _from_timestamps(column, missing)
    if pa.types.is_date(column.type):
        return _from_timestamps(column.cast(pa.timestamp("ms")), missing)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = _floats(column)
        return (*_from_epochs(values, missing | np.isnan(values)),)
    if is_text(column.type):
        return _from_text(column)
    return np.zeros(len(column), np.int64), missing, ~missing


def _floats(column: pa.Array) -> Values:
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    return column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)


def _nulls(column: pa.Array) -> Mask:
    if not column.null_count:
        return np.zeros(len(column), bool)
    return column.is_null().to_numpy(zero_copy_only=False)


def _cast_or_blank(column: pa.Array) -> tuple[pa.Array, Mask | None]:
    try:
        return column.cast(pa.float64()), None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.nulls(len(column), pa.float64()), ~_nulls(column)


def _numbers_from_text(column: pa.Array) -> tuple[Values, Mask | None]:
    try:
        return _floats(column.cast(pa.float64())), None
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(column)
    empty = pc.is_in(pc.utf8_lower(trimmed), value_set=_NO_VALUE.cast(trimmed.type))
    trimmed = pc.if_else(empty, pa.scalar(None, trimmed.type), trimmed)
    readable = pc.fill_null(pc.match_substring_regex(trimmed, _NUMBER), fill_value=False)
    malformed = pc.and_(pc.is_valid(trimmed), pc.invert(readable)).to_numpy(zero_copy_only=False)
    cells = pc.if_else(readable, pc.replace_substring_regex(trimmed, r"^\+", ""), pa.scalar(None, trimmed.type))
    return _floats(cells.cast(pa.float64())), malformed if malformed.any() else None


def _from_timestamps(column: pa.Array, missing: Mask) -> tuple[Micros, Mask, Mask]:
    unit = column.type.unit
    ticks = column.cast(pa.int64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
    if unit == "ns":
        return ticks // 1000, missing, np.zeros(len(ticks), bool)
    too_far = np.abs(ticks) > _LARGEST // _MICROS[unit]
    return np.where(too_far, 0, ticks) * _MICROS[unit], missing, too_far


def _from_epochs(values: Values, missing: Mask) -> tuple[Micros, Mask, Mask]:
    size = np.abs(values)
    factor = np.select([size < 1e11, size < 1e14, size < 1e17], [1e6, 1e3, 1.0], 1e-3)
    with np.errstate(invalid="ignore", over="ignore"):
        micros = values * factor
    malformed = ~missing & ~(np.abs(micros) < 9e18)
    return np.where(missing | malformed, 0, np.nan_to_num(micros, posinf=0, neginf=0)).astype(np.int64), missing, malformed


def _from_text(column: pa.Array) -> tuple[Micros, Mask, Mask]:
    cells = pc.utf8_trim_whitespace(column).dictionary_encode()
    micros, empty, malformed = _distinct_texts_to_times(cells.dictionary)
    if not len(micros):
        return np.zeros(len(column), np.int64), np.ones(len(column), bool), np.zeros(len(column), bool)
    codes = cells.indices.fill_null(0).to_numpy(zero_copy_only=False)
    missing = _nulls(column) | empty[codes]
    return micros[codes], missing, malformed[codes] & ~missing


def _distinct_texts_to_times(texts: pa.Array) -> tuple[Micros, Mask, Mask]:
    cells = pa.table({"text": texts, "position": pa.array(np.arange(len(texts)))})
    reader = _reader().cursor()
    reader.register("cells", cells)
    table = reader.sql(_TEXT_TO_TIME).to_arrow_table().combine_chunks()
    reader.close()
    empty = pc.is_in(pc.utf8_lower(texts), value_set=_NO_VALUE.cast(texts.type)).to_numpy(zero_copy_only=False)
    stamped = table["micros"].is_valid().to_numpy()
    number = table["number"].to_numpy()
    by_number, _, not_number = _from_epochs(number, np.zeros(len(number), bool))
    micros = np.where(stamped, table["micros"].fill_null(0).to_numpy(), by_number)
    return micros, empty, ~stamped & not_number & ~empty


@cache
def _reader() -> Any:
    """A database in memory, used for nothing but its tolerant reading of ISO 8601 text."""
    options = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "threads": "1"}
    reader = duckdb.connect(":memory:", config={**options, "enable_external_access": "false"})
    reader.execute("SET TimeZone = 'UTC'")
    return reader
