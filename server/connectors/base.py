"""What a connector is: it opens a location as a `Source`, which says which column is what and yields rows in batches."""

from collections.abc import Iterator, Mapping
from typing import Protocol

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

    def open(self, location: str, options: Mapping[str, str]) -> Source:
        """The source at `location`; `options` are the connector's own, unknown ones refused."""
        ...
