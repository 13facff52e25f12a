"""Who changed what: one row for every call that changes something."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Self

from server.domain.identity import Principal
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

    @classmethod
    def of(
        cls,
        who: Principal,
        action: str,
        subject: str,
        arguments: Mapping[str, object],
        time: datetime,
        *,
        outcome: str = "ok",
    ) -> Self:
        """An act of a principal, its arguments as their digest."""
        told = json.dumps(arguments, sort_keys=True, default=str)
        return cls(
            tenant=who.tenant,
            time=time,
            actor=who.name,
            channel=who.channel,
            action=action,
            subject=subject,
            arguments=hashlib.sha256(told.encode()).hexdigest(),
            outcome=outcome,
        )
