"""`Records` and `CorrectionRecords` in SQL: SQLite or PostgreSQL, through the tables of `server.storage.tables`."""

from server.storage.sql.corrections import SqlCorrectionRecords
from server.storage.sql.records import SqlRecords

__all__ = ["SqlCorrectionRecords", "SqlRecords"]
