"""The synthetic fleet as a source of telemetry, with its truth beside it."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

from server.connectors.synthetic.catalogue import MAPPING, METRICS, NEW_COLUMN
from server.connectors.synthetic.changes import changes_of
from server.connectors.synthetic.fleet import SyntheticFleet
from server.connectors.synthetic.options import plan_for
from server.connectors.synthetic.plan import FleetPlan
from server.connectors.synthetic.rows import batch_of, schema_of
from server.connectors.synthetic.truth import Truth, truth_of
from server.domain.telemetry import Change, ColumnMapping, Metric

ROWS_A_BATCH = 65_536
"""About; a batch holds whole devices, at least one."""


class SyntheticSource:
    """A fleet that is made while it is read: the same rows at each reading, and no more of them in memory than a batch."""

    rows: int | None = None
    """Not known before they are made: faults take rows away and add copies."""
    metrics: tuple[Metric, ...] = METRICS

    def __init__(self, plan: FleetPlan) -> None:
        self.plan = plan
        self._fleet = SyntheticFleet(plan)

    @property
    def name(self) -> str:
        """Such as `synthetic:demo devices=300 days=30 seed=7`."""
        return f"synthetic:{self.plan.name} devices={self.plan.devices} days={self.plan.days} seed={self.plan.seed}"

    @property
    def mapping(self) -> ColumnMapping:
        """The roles of the columns; the column that nobody announced is ignored, where it is sent."""
        if NEW_COLUMN in self.schema.names:
            return MAPPING.model_copy(update={"ignored": (NEW_COLUMN,)})
        return MAPPING

    @property
    def schema(self) -> pa.Schema:
        """The columns of every batch."""
        return schema_of(self.plan)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, whole devices together, each device's rows in the order sent."""
        size = max(1, ROWS_A_BATCH // self.plan.steps)
        for first in range(0, self.plan.devices, size):
            some = range(first, min(first + size, self.plan.devices))
            yield batch_of(self._fleet, [self._fleet.roster.device(index) for index in some])

    def changes(self) -> Iterator[Change]:
        """The change log, oldest first."""
        return changes_of(self._fleet)

    def truth(self) -> Truth:
        """What is really the matter, for evaluation only: no stage of a walk reads it."""
        return truth_of(self._fleet)


class SyntheticConnector:
    """Opens the fleets of `PLANS` by name: demo, easy, medium, hard, null."""

    name = "synthetic"
    opens_paths = False

    def open(self, location: str, options: Mapping[str, str]) -> SyntheticSource:
        """The fleet of that name; options are devices, days, seed, start, faults=on|off and lookalikes=on|off.

        Raises:
            InvalidInput: no such fleet, an unknown option (the nearest right one is named), or a value out of bounds.
        """
        return SyntheticSource(plan_for(location, options))
