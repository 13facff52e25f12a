"""Freezing what is stored: how many rows of which names, and a digest that no order of rows or ingests can change."""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

import json
from collections.abc import Iterator
from hashlib import blake2b

from server.domain.telemetry import Fleet, Snapshot
from server.errors import NotFound
from server.storage.telemetry.names import Kind
from server.storage.telemetry.reading import Group, Reader, Window
from server.storage.telemetry.schema import CODES, FleetTables

_SALTS = ("first", "second")


def take_snapshot(tables: FleetTables, fleet: Fleet, window: Window, *, rows: int) -> Snapshot:
    """The snapshot of the window; `rows` bounds how many are held at a time. Raises `NotFound` if the window is empty."""
    groups = census(tables, window, digest=True)
    if not groups:
        where = "" if window.start is None and window.end is None else " in that span of time"
        raise NotFound(f"telemetry{where} in fleet", fleet.name)
    reader = Reader(tables, window, groups)
    metrics = tables.metrics(window.sequence)
    return Snapshot(
        fleet=fleet,
        sequence=window.sequence,
        start=window.start,
        end=window.end,
        digest=_digest(tables, window, groups),
        rows=sum(group.rows for group in groups),
        devices=len({group.device for group in groups}),
        metrics=tuple(metric for _, metric in metrics.values()),
        cohort_columns=tables.cohort_columns(window.sequence),
        interval=reader.intervals(rows),
    )


def census(tables: FleetTables, window: Window, *, digest: bool = False) -> list[Group]:
    """Rows of the window by device and names; with `digest` also the sums of two 64-bit hashes of each row."""
    hashes = [f", sum({_row_hash(tables, window, salt)})" for salt in _SALTS] if digest else []
    keys = ", ".join(("device", *CODES))
    query = f"SELECT {keys}, count(*){''.join(hashes)} FROM {tables.table('telemetry')} WHERE {window.where()} GROUP BY {keys}"
    return [Group(*row[:6], parts=tuple(map(int, row[6:]))) for row in tables.fetch(query)]


def fit_split(tables: FleetTables, sequence: int) -> str | None:
    """What the last ingest that the snapshot sees said to fit on."""
    rows = tables.fetch(f"SELECT fit_split FROM {tables.table('ingests')} WHERE sequence = ?", [sequence])
    return rows[0][0] if rows else None


def _row_hash(tables: FleetTables, window: Window, salt: str) -> str:
    columns = [column for column, _ in tables.metrics(window.sequence).values()]
    fields = ["time", *columns] if salt == _SALTS[0] else [*reversed(columns), "time"]
    return f"hash('{salt}', {', '.join(fields)})"


def _digest(tables: FleetTables, window: Window, groups: list[Group]) -> str:
    """Sums of row hashes do not depend on order; what they are sums over is hashed by name, in sorted order, to 160 bits."""
    hashed = blake2b(digest_size=20)
    for line in sorted(_lines(tables, window, groups)):
        hashed.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return hashed.hexdigest()


def _lines(tables: FleetTables, window: Window, groups: list[Group]) -> Iterator[str]:
    names = tables.names(window.sequence)
    kinds = (Kind.DEVICE, Kind.COHORT, Kind.STORE, Kind.CUSTOMER, Kind.SPLIT)
    yield json.dumps(["metrics", [metric.model_dump_json() for _, metric in tables.metrics(window.sequence).values()]])
    yield json.dumps(["cohorts", tables.cohort_columns(window.sequence), "fit", fit_split(tables, window.sequence)])
    for group in groups:
        codes = (group.device, group.cohort, group.store, group.customer, group.split)
        texts = [names[kind][code] if code >= 0 else None for kind, code in zip(kinds, codes, strict=True)]
        yield json.dumps(["rows", texts, group.rows, group.parts])
