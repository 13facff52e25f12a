"""Pages of many: the services' answers with the cursor that leads on."""

from typing import TypeVar

from pydantic import Field

from server.domain.answers.anomalies import AnomalyPage
from server.domain.answers.causes import AtRiskPage
from server.domain.answers.incidents import IncidentPage
from server.domain.answers.normal import BaselinePage
from server.domain.telemetry import Frozen

_Page = TypeVar("_Page", bound=Frozen)


class _WithCursor(Frozen):
    cursor: str | None = Field(default=None, description="pass it to go on; null on the last page")


class IncidentList(IncidentPage, _WithCursor):
    """Incidents by severity times devices."""


class AnomalyList(AnomalyPage, _WithCursor):
    """Anomalies, worst first. Muted ones are among them and say so."""


class BaselineList(BaselinePage, _WithCursor):
    """What is normal, for whom. Values of log-transformed metrics are in logarithms."""


class AtRiskList(AtRiskPage, _WithCursor):
    """Exposed, not yet affected devices, longest exposed first."""


def with_cursor(kind: type[_Page], page: Frozen, shown: int) -> _Page:
    """The service's page as `kind`, which adds the cursor. Its parts are not validated a second time."""
    told = dict(page)
    following = str(told["offset"] + shown) if told["truncated"] else None
    return kind.model_construct(**told, cursor=following)
