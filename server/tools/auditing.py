"""An audit row for every call that changes something, where the service does not write one itself."""

from collections.abc import Mapping
from datetime import UTC, datetime

from server.domain.audit import AuditEntry
from server.storage.base import Records
from server.tools.caller import Caller


def note(
    records: Records, caller: Caller, action: str, subject: str, arguments: Mapping[str, object], outcome: str = "ok"
) -> None:
    """Append who did what with which program, on what, and how it ended; the arguments as a digest."""
    who = caller.principal.model_copy(update={"channel": caller.channel})
    records.append_audit(AuditEntry.of(who, action, subject, arguments, datetime.now(UTC), outcome=outcome))
