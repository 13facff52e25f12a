"""What a connector is: it opens a location as a `Source`, which says which column is what and yields rows in batches."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Protocol, runtime_checkable

import pyarrow as pa

from server.domain.telemetry import Change, ColumnMapping, Metric


class Source(Protocol):
    """Rows of telemetry under the source's own column names and types.

    Batches are bounded in rows, may come in any order and may be read again from the start. A connector does not judge
    rows: whatever cannot be read as a value stays text, and the telemetry store keeps it aside with a reason.
    """

    @property
    def name(self) -> str:
        """Where the rows come from, fit to be shown and stored: no secrets."""
        ...

    @property
    def mapping(self) -> ColumnMapping:
        """Which of its columns plays which role."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the source itself knows of its metrics; the catalogue fills in the rest."""
        ...

    @property
    def rows(self) -> int | None:
        """How many rows there are, if that is known without reading them."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, each batch with the columns that `mapping` names (ignored ones may be left out)."""
        ...

    def changes(self) -> Iterator[Change]:
        """The change log that comes with the telemetry; none for most sources."""
        ...


class Connector(Protocol):
    """A family of sources, such as files.

    Its `open` raises `InvalidInput` naming what was wrong with the location or an option.
    """

    name: str
    opens_paths: bool
    """Whether a location is a path on this machine, `path::part` for a part of a file: then it is made whole, and held to the
    folders that may be read. A connector that does not say is not loaded."""

    def open(self, location: str, options: Mapping[str, str]) -> Source:
        """The source at `location`; `options` are the connector's own, unknown ones refused."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """What a connector is besides if it keeps files that were sent to it, until a run has ingested them or they are old."""

    def let_go(self, location: str) -> None:
        """Remove the file: its rows are in the telemetry store."""
        ...

    def expire(self, now: datetime, tenant: str | None = None, *, dry_run: bool = False) -> tuple[int, int]:
        """How many files, and bytes, are too old; they are removed, unless it is only to be told."""
        ...
