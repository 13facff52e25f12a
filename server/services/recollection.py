"""What is remembered of decisions, kept in step with SQL: SQL is the truth, and memory may be lost at any time."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain

import structlog

from server.domain.feedback import Feedback, FeedbackFilter
from server.domain.memory import Recalled, RecallQuery, RememberedDecision
from server.domain.suggestion import StandingSuggestion
from server.domain.telemetry import Fleet
from server.errors import NotFound, Unavailable
from server.services.remembering import of_act, of_suggestion
from server.storage.base import CorrectionRecords, DecisionMemory, Records

_log = structlog.get_logger("anomalyst.memory")
_PAGE = 10_000


class Recollection:
    """Remembers acts and decided suggestions, recalls them, and makes the memory anew from SQL."""

    def __init__(
        self,
        records: Records,
        corrections: CorrectionRecords,
        memory: Callable[[], DecisionMemory],
        clock: Callable[[], datetime],
    ) -> None:
        self._records, self._corrections, self._memory, self._clock = records, corrections, memory, clock

    def act(self, rows: Sequence[Feedback], title: str) -> None:
        """Remember one act of feedback. That memory is out of reach must not undo what SQL has: it is logged, no more."""
        self._remember(of_act(rows, self._domains(rows[0].fleet), title))

    def decided(self, standing: StandingSuggestion, *, undone: bool = False) -> None:
        """Remember a decided suggestion, or that a rollback undid it; as tolerant as `act`."""
        remembered = of_suggestion(standing, self._domains(standing.suggestion.fleet))
        self._remember(remembered.model_copy(update={"undone": undone}))

    def recall(self, query: RecallQuery, *, limit: int) -> Sequence[Recalled]:
        """Earlier decisions most like the case, best first. Raises `Unavailable` if memory is out of reach."""
        return self._memory().recall(query, limit=limit)

    def evidence(self, query: RecallQuery, *, limit: int) -> Sequence[Recalled]:
        """As `recall`, but nothing where memory is out of reach: evidence that helps and is not needed."""
        try:
            return self.recall(query, limit=limit)
        except Unavailable as error:
            _log.warning("memory is out of reach", why=str(error))
            return ()

    def rebuild(self) -> int:
        """Forget everything and remember all of SQL again, every tenant's; returns how many decisions that are."""
        tenants = self._records.tenants()
        return self._memory().rebuild(
            chain.from_iterable(chain(self._acts(tenant), self._suggestions(tenant)) for tenant in tenants)
        )

    def _remember(self, decision: RememberedDecision) -> None:
        try:
            self._memory().remember([decision])
        except Unavailable as error:
            _log.warning("not remembered; `anomalyst memory rebuild` makes it good", decision=decision.id, why=str(error))

    def _acts(self, tenant: str) -> Iterator[RememberedDecision]:
        acts: dict[str, list[Feedback]] = defaultdict(list)
        offset, total = 0, 1
        while offset < total:
            page, total = self._corrections.feedback(tenant, FeedbackFilter(current=False), limit=_PAGE, offset=offset)
            for each in page:
                acts[each.act].append(each)
            offset += len(page)
        for rows in acts.values():
            yield of_act(rows, self._domains(rows[0].fleet), self.title(tenant, rows))

    def title(self, tenant: str, rows: Sequence[Feedback]) -> str:
        """What an act was about: its incident if it was one, else its device or how many there were."""
        incidents = {each.incident for each in rows}
        if len(incidents) == 1 and (one := incidents.pop()) and len(rows) > 1:
            try:
                return self._records.incident(tenant, one).title
            except NotFound:
                pass
        first = rows[0]
        devices = {each.device for each in rows}
        return f"{first.device}: {', '.join(first.metrics[:1])}" if len(devices) == 1 else f"{len(devices)} devices"

    def _suggestions(self, tenant: str) -> Iterator[RememberedDecision]:
        undone = {each.suggestion for each in self._corrections.effects(tenant, limit=_PAGE) if each.undone_by}
        offset, total, now = 0, 1, self._clock()
        while offset < total:
            page, total = self._corrections.suggestions(tenant, now=now, limit=_PAGE, offset=offset)
            for each in page:
                if each.decision is not None:
                    remembered = of_suggestion(each, self._domains(each.suggestion.fleet))
                    yield remembered.model_copy(update={"undone": each.suggestion.id in undone})
            offset += len(page)

    def _domains(self, fleet: Fleet) -> Mapping[str, str]:
        return {metric.name: metric.domain for metric in self._records.metrics(fleet)}
