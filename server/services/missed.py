"""Trouble that was not flagged: which telemetry rows a report of it is about."""

from dataclasses import dataclass
from datetime import datetime

from server.domain.telemetry import Fleet
from server.errors import InvalidInput, NotFound
from server.services.reading.words import at
from server.storage.base import TelemetryStore

_BLOCK_ROWS = 100_000
_NOWHERE = -2
"""A code that no row has: -1 stands for rows without a store."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A device or a store that was in trouble in [start, end]."""

    device: str | None
    store: str | None
    start: datetime
    end: datetime

    @property
    def whom(self) -> str:
        """Who was in trouble, in words."""
        return self.device or f"store {self.store}"

    @property
    def window(self) -> str:
        """When, in words."""
        return f"{at(self.start)} to {at(self.end)}"

    def require_sound(self) -> None:
        """Return if it says one place and a window. Raises `InvalidInput` naming what is wrong otherwise."""
        if (self.device is None) == (self.store is None):
            raise InvalidInput("say either which device or which store was in trouble.")
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            raise InvalidInput("the window's start or end has no time zone. Give both one, such as +00:00 for UTC.")
        if self.end < self.start:
            raise InvalidInput(f"the window ends at {self.end.isoformat()}, before it starts at {self.start.isoformat()}.")

    def rows(self, telemetry: TelemetryStore, fleet: Fleet) -> list[tuple[str, datetime]]:
        """Device and time of the rows meant; none if there is no telemetry of them in the window.

        Raises:
            NotFound: the fleet has no such device or store, with near matches.
        """
        members = telemetry.members(telemetry.snapshot(fleet))
        kind, name, known = "device", self.device, members.devices
        if name is None:
            kind, name, known = "store", self.store or "", members.stores
        if name not in known:
            raise NotFound(kind, name, known, listed_by="rank_groups")
        try:
            window = telemetry.snapshot(fleet, start=self.start, end=self.end)
        except NotFound:
            return []
        inside = telemetry.members(window)
        codes, place = None, _NOWHERE
        if self.device is not None:
            if self.device not in inside.devices:
                return []
            codes = [inside.devices.index(self.device)]
        elif name in inside.stores:
            place = inside.stores.index(name)
        return [
            (inside.devices[code], _moment(time))
            for block in telemetry.blocks(window, rows=_BLOCK_ROWS, devices=codes)
            for code, time, where in zip(*(block.column(each).to_pylist() for each in ("device", "time", "store")), strict=True)
            if codes is not None or where == place
        ]


def _moment(time: int) -> datetime:
    from server.pipeline.displacement import moment  # noqa: PLC0415 - Arrow, which most verdicts need not wait for

    return moment(time)
