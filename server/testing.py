"""Conformance suites for plug-ins: whoever writes a connector runs `check_connector` over it in a test.

    def test_my_connector_conforms():
        check_connector(MyConnector(), "somewhere", {"option": "value"})

Each check raises `AssertionError` saying which promise of `server.connectors.base` was broken.
"""

# ruff: noqa: S101 - a conformance suite speaks in assertions

from collections.abc import Mapping

import pyarrow as pa

from server.connectors.base import Connector, Source
from server.domain.telemetry import Change, ColumnMapping
from server.errors import InvalidInput

MOST_ROWS = 1_000_000
_UNKNOWN = "an-option-that-nobody-knows"


def check_connector(connector: Connector, location: str, options: Mapping[str, str] | None = None) -> Source:
    """The source at `location`, if it and the connector keep every promise."""
    assert connector.name, "a connector has a name"
    assert isinstance(connector.opens_paths, bool), "a connector says whether its locations are paths: opens_paths"
    check_refuses(connector, location, {**(options or {}), _UNKNOWN: "1"}, naming=_UNKNOWN)
    source = connector.open(location, options or {})
    check_source(source)
    return source


def check_refuses(connector: Connector, location: str, options: Mapping[str, str], *, naming: str) -> None:
    """Opening is refused as `InvalidInput`, and the message names what was wrong."""
    try:
        connector.open(location, options)
    except InvalidInput as error:
        refusal = str(error)
    else:
        raise AssertionError(f"{connector.name} opened {location!r} in spite of {naming!r}")
    assert naming in refusal, f"the refusal does not name {naming!r}: {refusal}"


def check_source(source: Source) -> None:
    """The source yields its mapped columns, in bounded batches, the same rows every time it is read."""
    _check_mapping(source.mapping)
    first = _read(source)
    second = _read(source)
    assert first == second, "a source can be read again from the start, with the same rows"
    if source.rows is not None:
        assert source.rows == len(first), f"it says {source.rows} rows and yields {len(first)}"
    assert source.name.strip(), "a source says where its rows come from"
    strangers = {metric.name for metric in source.metrics} - set(source.mapping.metrics)
    assert not strangers, f"it describes metrics that are not among its metric columns: {sorted(strangers)}"
    assert all(isinstance(change, Change) for change in source.changes()), "changes are `Change` rows"


def roles(mapping: ColumnMapping) -> list[str]:
    """Every column that has a role, as often as it has one."""
    single = (mapping.device, mapping.time, mapping.arrival, mapping.store, mapping.customer, mapping.split)
    return [*(name for name in single if name), *mapping.cohort, *mapping.metrics]


def _check_mapping(mapping: ColumnMapping) -> None:
    used = [*roles(mapping), *mapping.ignored]
    twice = {name for name in used if used.count(name) > 1} if len(set(used)) < len(used) else set[str]()
    assert not twice, f"a column has one role: {sorted(twice)}"
    assert mapping.metrics, "at least one column is a metric"


def _read(source: Source) -> list[str]:
    """One text a row, sorted: batches may come in any order."""
    wanted = roles(source.mapping)
    rows: list[str] = []
    for batch in source.batches():
        assert isinstance(batch, pa.RecordBatch), "batches are Arrow record batches"
        assert batch.num_rows <= MOST_ROWS, f"a batch of {batch.num_rows} rows is not bounded"
        absent = [name for name in wanted if name not in batch.schema.names]
        assert not absent, f"a batch lacks the mapped columns {absent}"
        rows += [repr(row) for row in batch.select(wanted).to_pylist()]
    return sorted(rows)
