"""Who a token is of and what it may do, so that a client offers nothing that would be refused."""

from fastapi import APIRouter
from pydantic import Field

from server.api.door import Reader
from server.domain.identity import Scope
from server.domain.telemetry import Frozen

router = APIRouter(tags=["callers"])


class Myself(Frozen):
    """The caller."""

    name: str
    tenant: str
    scopes: tuple[Scope, ...] = Field(description="what the token may do; none implies another")


@router.get("/me")
def get_me(who: Reader) -> Myself:
    """Whom the server takes the caller for."""
    return Myself(name=who.name, tenant=who.tenant, scopes=tuple(sorted(who.scopes)))
