"""What lies between two snapshots: for each device whose rows differ, the first time at which they do."""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

from collections.abc import Mapping

from server.domain.telemetry import Snapshot
from server.storage.telemetry.names import Kind
from server.storage.telemetry.reading import Reader, Window
from server.storage.telemetry.schema import FleetTables
from server.storage.telemetry.snapshots import census, fit_split


def first_differences(tables: FleetTables, before: Snapshot, after: Snapshot) -> Mapping[str, int] | None:
    """First time (microseconds since 1970 UTC) from which each device's rows differ; devices with the same rows are left out.

    None where rows at other times may differ as well: other metrics, cohort columns or rows to fit on, or cohort values that
    are filled in from a device's other rows.
    """
    if before.sequence > after.sequence or _shape(before) != _shape(after):
        return None
    windows = [Window(each.sequence, each.start, each.end) for each in (before, after)]
    readers = [Reader(tables, window, census(tables, window)) for window in windows]
    if any(reader.fills_cohorts for reader in readers):
        return None
    fitted = [reader.fits_on(fit_split(tables, window.sequence)) for reader, window in zip(readers, windows, strict=True)]
    if fitted[0] != fitted[1]:
        return None
    first, last = before.sequence, after.sequence
    came = f"added > {first} AND added <= {last} AND removed > {last}"
    went = f"added <= {first} AND removed > {first} AND removed <= {last}"
    query = f"SELECT device, min(time) FROM {tables.table('telemetry')} WHERE ({came}) OR ({went}) GROUP BY device"
    names = tables.names(last)[Kind.DEVICE]
    return {names[device]: time for device, time in tables.fetch(query)}


def _shape(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.fleet, snapshot.start, snapshot.end, snapshot.metrics, snapshot.cohort_columns
