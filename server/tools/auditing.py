"""An audit row for every call that changes something, where the service does not write one itself."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from server.domain.audit import AuditEntry
from server.storage.base import Records
from server.tools.caller import Caller


def note(
    records: Records, caller: Caller, action: str, subject: str, arguments: Mapping[str, object], outcome: str = "ok"
) -> None:
    """Append who did what with which program, on what, and how it ended; the arguments as a digest."""
    told = json.dumps(arguments, sort_keys=True, default=str)
    records.append_audit(
        AuditEntry(
            tenant=caller.principal.tenant,
            time=datetime.now(UTC),
            actor=caller.principal.name,
            channel=caller.channel,
            action=action,
            subject=subject,
            arguments=hashlib.sha256(told.encode()).hexdigest(),
            outcome=outcome,
        )
    )
