"""A person's decision on a stored suggestion: what was seen is what is decided, and what is decided elsewhere closes here."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chat_ui.client import Client, Refused, Unreachable

Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """What a person clicked: yes or no to exactly what the card showed."""

    suggestion: str
    digest: str
    preview: str
    approved: bool
    reason: str = ""
    override: tuple[str, ...] = ()

    @classmethod
    def of(cls, payload: Payload) -> "Said":
        """From a card's payload, which comes from a browser: anything but a plain true is a no."""
        return cls(
            str(payload.get("suggestion", "")),
            str(payload.get("digest", "")),
            str(payload.get("preview", "")),
            payload.get("approved") is True,
            str(payload.get("reason", ""))[:500],
            tuple(str(each) for each in payload.get("override") or ()),
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a click. `decided` is False where nothing was recorded, and `words` say why."""

    words: str
    decided: bool
    approved: bool = False


async def decide(client: Client, said: Said) -> Outcome:
    """Record the decision, unless the suggestion or its preview is no longer what the person saw.

    Raises:
        Refused: the server did not take it: it was decided before, is stale, or the person may not approve.
        Unreachable: the server does not answer; nothing was recorded.
    """
    now = await client.standing(said.suggestion)
    if now["status"] != "pending":
        return Outcome(f"Nothing was recorded: it is {now['status']} by now.", decided=False)
    shown = now["preview"]["digest"] if now["preview"] else ""
    if said.approved and shown != said.preview:
        return Outcome(
            "Nothing was recorded: what it would do has changed since the card was drawn. Look again.", decided=False
        )
    await client.decide(
        said.suggestion, approved=said.approved, digest=said.digest, reason=said.reason, override=list(said.override)
    )
    return Outcome("Approved." if said.approved else "Rejected. Nothing changes.", decided=True, approved=said.approved)


@dataclass
class Offered:
    """The cards on one person's screen that still wait for a decision, and how each is drawn anew."""

    redraw: dict[str, list[Callable[[], Awaitable[None]]]] = field(
        default_factory=dict[str, list[Callable[[], Awaitable[None]]]]
    )
    mine: set[str] = field(default_factory=set[str])
    """Suggestions that this person has decided on: what became of them they are told by their own click."""

    def add(self, suggestion: str, redraw: Callable[[], Awaitable[None]]) -> None:
        """Watch a card."""
        self.redraw.setdefault(suggestion, []).append(redraw)

    async def close_decided(self, client: Client) -> dict[str, str]:
        """Redraw the cards whose suggestion no longer waits, and watch them no more; what became of those decided elsewhere.

        A server that does not answer closes nothing: not knowing is no decision.
        """
        closed: dict[str, str] = {}
        for suggestion in list(self.redraw):
            status = await _status(client, suggestion)
            if status != "pending" and await self.redrawn(suggestion) and suggestion not in self.mine:
                closed[suggestion] = status
        return closed

    async def redrawn(self, suggestion: str) -> bool:
        """Draw all cards of a suggestion anew, and watch those no more; whether all could be drawn.

        What the server could not answer just now, while it trains for example, is drawn at the next look.
        """
        left: list[Callable[[], Awaitable[None]]] = []
        for redraw in self.redraw.pop(suggestion, []):
            try:
                await redraw()
            except (Refused, Unreachable):
                left.append(redraw)
        if left:
            self.redraw.setdefault(suggestion, []).extend(left)
        return not left


async def _status(client: Client, suggestion: str) -> str:
    try:
        return await client.status(suggestion)
    except Refused as error:
        return "gone" if error.status == 404 else "pending"
    except Unreachable:
        return "pending"
