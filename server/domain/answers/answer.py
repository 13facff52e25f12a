"""What every answer says of itself, and what several of them are made of."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.domain.telemetry import Frozen


class Span(Frozen):
    """First and last moment, both inclusive; None where there is nothing."""

    first: datetime | None = None
    last: datetime | None = None
    zone: Literal["UTC"] = "UTC"


class Answer(Frozen):
    """What every answer says of itself."""

    summary: str = Field(description="one plain sentence with the numbers")
    fleet: str
    run: str = Field(default="", description="the run whose anomalies it speaks of; empty if of none")
    window: Span = Field(default=Span(), description="the event times that it speaks of")
    telemetry_until: datetime | None = Field(default=None, description="last event time that the fleet has: how fresh it is")


class Page(Answer):
    """Some of many; ask again with `offset` for the others."""

    total: int
    offset: int = 0
    truncated: bool = Field(description="whether there are more after these")


class Rate(Frozen):
    """A share with both of its numbers."""

    count: int
    of: int
    what: str = Field(description="what is counted, such as 'devices' or 'rows'")

    @property
    def share(self) -> float:
        """0 where there is nothing to take a share of."""
        return self.count / self.of if self.of else 0.0


class Contrast(Frozen):
    """The same rate inside a group and outside it."""

    group: str
    inside: Rate
    outside: Rate
