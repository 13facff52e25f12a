"""Who changed what, and whether the trail is as it was written."""

from fastapi import APIRouter
from pydantic import Field

from server.api.door import Parts, Reader
from server.api.fields import Limit, Offset
from server.domain.audit import AuditEntry
from server.domain.telemetry import Frozen

router = APIRouter(prefix="/audit", tags=["audit"])


class AuditPage(Frozen):
    """Acts, newest first."""

    entries: tuple[AuditEntry, ...]
    total: int
    offset: int
    truncated: bool


class AuditCheck(Frozen):
    """What checking the chain of hashes gave."""

    rows: int = Field(description="rows that are as they were written: all of them")


@router.get("")
def list_audit(app: Parts, who: Reader, limit: Limit = 100, offset: Offset = 0) -> AuditPage:
    """Every act that changed something: who, through which channel, on what, how it ended.

    Reading checks the whole chain first: an edited trail is refused, naming the first row that was edited.
    """
    total = app.records.verify_audit(who.tenant)
    entries = tuple(app.records.audit(who.tenant, limit=limit, offset=offset))
    return AuditPage(entries=entries, total=total, offset=offset, truncated=offset + len(entries) < total)


@router.get("/verification")
def verify_audit(app: Parts, who: Reader) -> AuditCheck:
    """Check every row against the one before; an edit, a removal or a reordering is told by name."""
    return AuditCheck(rows=app.records.verify_audit(who.tenant))
