"""Finished answers of reading tools, given again for as long as everything that they were read from stands as it did.

What an answer rests on is declared where a tool is offered. The state of the records is their own token, which other
processes' writes change too; telemetry has one owner, this process, and counts its writes.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from enum import Flag, auto
from threading import Lock
from typing import Any

import anyio.to_thread

from server.app import App
from server.errors import AnomalystError
from server.tools.caller import Caller

CLOCK_STEP = 10.0
"""Seconds for which an answer that tells of hours ago, or of what has expired, is given again."""

MOST_CHARACTERS = 4_000_000
_LONGEST_ARGUMENTS = 2_000
Answer = dict[str, Any]


class RestsOn(Flag):
    """What an answer is read from."""

    STORES = auto()
    CLOCK = auto()
    WALKS = auto()


class KeptAnswers:
    """The answers that were last asked for, in the form that goes over the wire; those of longest ago leave first."""

    def __init__(self, app: App, walks: Callable[[str], Hashable], rests_on: Mapping[str, RestsOn | None]) -> None:
        """`walks`: what is to be seen of a tenant's walks under way. `rests_on`: by tool; None for what is never kept."""
        self._app, self._walks, self._rests_on = app, walks, rests_on
        self._is_far = not app.settings.store_url.startswith("sqlite")
        self._answers: OrderedDict[Hashable, tuple[Answer, int]] = OrderedDict()
        self._characters, self._guard = 0, Lock()
        self._seen: Hashable | None = None

    async def place(self, by: Caller, tool: str, given: object, protocol: str) -> Hashable | None:
        """Under what an answer to this very call is kept, as things stand now; None if it is not to be.

        To be asked before the answer is made: what changes while it is made then leads to another place.
        """
        rests_on = self._rests_on.get(tool)
        arguments = _written(given)
        if rests_on is None or arguments is None:
            return None
        stores = await anyio.to_thread.run_sync(self._stores) if self._is_far else self._stores()
        if stores is None:
            return None
        self._forget_unless(stores)
        moving = (
            int(self._app.clock().timestamp() // CLOCK_STEP) if RestsOn.CLOCK in rests_on else None,
            self._walks(by.principal.tenant) if RestsOn.WALKS in rests_on else None,
        )
        return (by.principal.tenant, by.principal.scopes, by.is_local, protocol, tool, arguments, stores, moving)

    def get(self, place: Hashable | None) -> Answer | None:
        """The answer that is kept there."""
        if place is None:
            return None
        with self._guard:
            found = self._answers.get(place)
            if found is None:
                return None
            self._answers.move_to_end(place)
            return found[0]

    def keep(self, place: Hashable | None, answer: Answer) -> None:
        """Keep an answer there, and forget what there is no room for any more."""
        length = sum(len(part.get("text", "")) for part in answer.get("content", ()))
        if place is None or length > MOST_CHARACTERS // 8:
            return
        with self._guard:
            self._characters += length - self._answers.pop(place, ({}, 0))[1]
            self._answers[place] = (answer, length)
            while self._characters > MOST_CHARACTERS:
                self._characters -= self._answers.popitem(last=False)[1][1]

    def _forget_unless(self, stores: Hashable) -> None:
        """Forget all answers of another state: it does not come back."""
        with self._guard:
            if stores != self._seen:
                self._answers.clear()
                self._characters, self._seen = 0, stores

    def _stores(self) -> Hashable | None:
        try:
            records, rows = self._app.records.state(), self._app.telemetry.writes
        except AnomalystError:  # the call itself meets the same trouble, and tells of it
            return None
        return None if records is None else (records, rows)


def _written(given: object) -> str | None:
    """The arguments as one text, the same for the same ones in another order; None where that is not worth it."""
    try:
        text = json.dumps(given or {}, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) <= _LONGEST_ARGUMENTS else None
