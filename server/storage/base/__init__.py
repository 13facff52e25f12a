"""What the services need of storage: a Protocol for each store. Engines are named in `server.app` only."""

from server.storage.base.artifacts import ArtifactStore
from server.storage.base.corrections import Application, CorrectionRecords
from server.storage.base.memory import DecisionMemory
from server.storage.base.queries import LockedQueries, QueryRows
from server.storage.base.records import Records, Rows
from server.storage.base.telemetry import Progress, RejectedRow, RowKeys, TelemetryStore

__all__ = [
    "Application",
    "ArtifactStore",
    "CorrectionRecords",
    "DecisionMemory",
    "LockedQueries",
    "Progress",
    "QueryRows",
    "Records",
    "RejectedRow",
    "RowKeys",
    "Rows",
    "TelemetryStore",
]
