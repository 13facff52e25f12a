"""Telemetry on DuckDB: screened as it comes in, merged by a rule that no arrival order can change, read in whole devices."""

from server.storage.telemetry.store import DuckDBTelemetryStore

__all__ = ["DuckDBTelemetryStore"]
