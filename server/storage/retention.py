"""What removing old runs needs of the records, beside `server.storage.base` and by the same rules."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from server.domain.audit import AuditEntry
from server.domain.run import Run
from server.domain.telemetry import Fleet


class RetentionRecords(Protocol):
    """Which runs stand in the way of being removed, and their removal. Each method is one transaction."""

    def fleets(self, tenant: str) -> Sequence[Fleet]:
        """All fleets of the tenant that have a run, by name."""
        ...

    def needed(self, fleet: Fleet) -> Mapping[str, str]:
        """Runs that something still stands on, each with what that is, whatever their age."""
        ...

    def anomalies_of(self, tenant: str, runs: Sequence[str]) -> Mapping[str, int]:
        """Stored anomalies of each of the runs, in all of its scored sets."""
        ...

    def remove_runs(self, runs: Sequence[tuple[Run, AuditEntry]]) -> Sequence[str]:
        """Remove runs of one fleet that are still as given and that nothing needs, each with its audit entry, all in one.

        With a run go its scored sets, and the statistics of expired baseline versions that no other run was walked on.
        Versions themselves stay, with their adjustments, so that each can still be returned to. Returns the ids of those that
        were removed.
        """
        ...

    def removed_runs(self, tenant: str) -> frozenset[str]:
        """Ids of runs that were removed and that no tenant has now: what is left of their files can go."""
        ...
