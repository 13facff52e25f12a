"""Who changed what: one row for every call that changes something."""

from datetime import datetime

from server.domain.telemetry import Frozen


class AuditEntry(Frozen):
    """An act: by whom, through which surface, on what, with which arguments (as a digest, never in full)."""

    tenant: str
    time: datetime
    actor: str
    channel: str
    action: str
    subject: str
    arguments: str = ""
    outcome: str = "ok"
