"""The memory of decisions, which recalls like cases."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from server.domain.memory import Recalled, RecallQuery, RememberedDecision


class DecisionMemory(Protocol):
    """Remembered decisions under a numeric signature and their words. Losing it loses nothing: SQL rebuilds it.

    Safe to call from several threads. Raises `Unavailable` when the store does not answer.
    """

    def remember(self, decisions: Sequence[RememberedDecision]) -> None:
        """Store or replace, by id."""
        ...

    def recall(self, query: RecallQuery, *, limit: int = 5) -> Sequence[Recalled]:
        """The decisions most like the case, best first; of the query's tenant only."""
        ...

    def rebuild(self, decisions: Iterable[RememberedDecision]) -> int:
        """Forget everything and remember these; returns how many."""
        ...

    def count(self, tenant: str) -> int:
        """How many decisions are remembered."""
        ...

    def close(self) -> None:
        """Release the store."""
        ...
