"""Ids to choose from while a client's user types one, for the addresses of resources and the arguments of prompts."""

from collections.abc import Callable, Iterable, Mapping

import anyio.to_thread
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from server.domain.anomaly import AnomalyFilter
from server.domain.identity import Scope
from server.domain.telemetry import Fleet
from server.errors import AnomalystError
from server.tools.caller import who
from server.tools.desk import Desk

_MOST = 100
_LOOKED_AT = 1_000


class Completions:
    """Values that contain what was typed, those that begin with it first."""

    def __init__(self, desk: Desk) -> None:
        self._app = desk.app
        self._known: Mapping[str, Callable[[str], Iterable[str]]] = {
            "run": self._runs,
            "anomaly": self._anomalies,
            "incident": self._incidents,
            "version": self._versions,
            "suggestion": self._suggestions,
            "device": self._devices,
            "fleet": self._fleets,
        }

    async def complete(
        self, ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion:
        """Up to 100 values for the argument; none for an argument that takes free text."""
        _ = (ref, context)
        known = self._known.get(argument.name)
        if known is None:
            return Completion(values=[], total=0, has_more=False)
        tenant = who(Scope.READ).tenant
        values = await anyio.to_thread.run_sync(_matching, known, tenant, argument.value)
        return Completion(values=values[:_MOST], total=len(values), has_more=len(values) > _MOST)

    def _runs(self, tenant: str) -> Iterable[str]:
        return [run.id for run in self._app.records.runs(tenant, limit=_LOOKED_AT)]

    def _fleets(self, tenant: str) -> Iterable[str]:
        return dict.fromkeys(run.fleet.name for run in self._app.records.runs(tenant, limit=_LOOKED_AT))

    def _anomalies(self, tenant: str) -> Iterable[str]:
        return [each.id for each in self._app.records.anomalies(tenant, AnomalyFilter(), limit=_LOOKED_AT)[0]]

    def _incidents(self, tenant: str) -> Iterable[str]:
        return [each.id for each in self._app.records.incidents(tenant, limit=_LOOKED_AT)[0]]

    def _suggestions(self, tenant: str) -> Iterable[str]:
        page = self._app.corrections.page(who(Scope.READ).model_copy(update={"tenant": tenant}), limit=_LOOKED_AT)
        return [each.suggestion.id for each in page.suggestions]

    def _versions(self, tenant: str) -> Iterable[str]:
        fleets = self._owned(tenant)
        newest = [version.version for fleet in fleets if (version := self._app.records.baseline_version(fleet))]
        return [str(number) for number in range(max(newest, default=0), 0, -1)]

    def _devices(self, tenant: str) -> Iterable[str]:
        return sorted(name for fleet in self._owned(tenant) for name in self._app.records.devices(fleet))

    def _owned(self, tenant: str) -> Iterable[Fleet]:
        return {run.fleet.name: run.fleet for run in self._app.records.runs(tenant, limit=_LOOKED_AT)}.values()


def _matching(known: Callable[[str], Iterable[str]], tenant: str, typed: str) -> list[str]:
    wanted = typed.casefold()
    try:
        found = [value for value in known(tenant) if wanted in value.casefold()]
    except AnomalystError:
        return []  # whoever is typing needs no error; the call that follows tells what is wrong
    return sorted(found, key=lambda value: not value.casefold().startswith(wanted))
