"""What a person saw is what they decide on; what is decided elsewhere closes; silence is no yes."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from chat_ui.approvals import Offered, Said, decide
from chat_ui.client import Client, Refused, Unreachable

SEEN = {"suggestion": "s-0123456789", "digest": "d" * 32, "preview": "p" * 32, "approved": True, "reason": "fine"}


class FakeServer:
    """One suggestion behind the paths that the chat uses; keeps the decisions that it is sent."""

    def __init__(self) -> None:
        self.status, self.preview_digest, self.answers = "pending", "p" * 32, True
        self.decisions: list[dict[str, Any]] = []

    def client(self) -> Client:
        """A client of this server."""
        return Client("http://server", "token", httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if not self.answers:
            raise httpx.ConnectError("down", request=request)
        if request.method == "POST":
            if self.status != "pending":
                return httpx.Response(409, json={"message": "it was decided before.", "error": "ApprovalStale"})
            self.decisions.append(json.loads(request.content))
            self.status = "approved"
            return httpx.Response(200, json={"status": self.status})
        if request.url.path.endswith("/preview"):
            return httpx.Response(200, json={"digest": self.preview_digest})
        return httpx.Response(200, json={"status": self.status, "decision": None, "preview": None})


@pytest.fixture
def server() -> FakeServer:
    """A server with one pending suggestion."""
    return FakeServer()


async def _in(server: FakeServer, work: Callable[[Client], Any]) -> Any:
    async with server.client() as client:
        return await work(client)


@pytest.mark.anyio
async def test_a_yes_is_recorded_with_the_digest_that_was_seen(server: FakeServer) -> None:
    """The decision carries the card's digest and the reason."""
    outcome = await _in(server, lambda client: decide(client, Said.of(SEEN)))
    assert outcome.decided
    assert server.decisions == [{"approved": True, "digest": "d" * 32, "reason": "fine", "override": []}]


@pytest.mark.anyio
async def test_a_preview_that_changed_since_is_not_approved(server: FakeServer) -> None:
    """Verdicts may have come in since the card was drawn: the person has to look again."""
    server.preview_digest = "q" * 32
    outcome = await _in(server, lambda client: decide(client, Said.of(SEEN)))
    assert not outcome.decided
    assert server.decisions == []


@pytest.mark.anyio
async def test_a_no_needs_no_fresh_preview(server: FakeServer) -> None:
    """Whatever it would do now, it is rejected."""
    server.preview_digest = "q" * 32
    outcome = await _in(server, lambda client: decide(client, Said.of({**SEEN, "approved": False})))
    assert (outcome.decided, outcome.approved) == (True, False)


@pytest.mark.anyio
async def test_one_decided_elsewhere_is_not_decided_again(server: FakeServer) -> None:
    """The card was late; nothing is recorded."""
    server.status = "rejected"
    outcome = await _in(server, lambda client: decide(client, Said.of(SEEN)))
    assert not outcome.decided
    assert "rejected" in outcome.words


@pytest.mark.parametrize("approved", ["true", 1, None, "yes", {}])
def test_only_a_plain_true_is_a_yes(approved: Any) -> None:
    """Whatever else a browser sends is a no."""
    assert Said.of({**SEEN, "approved": approved}).approved is False


@pytest.mark.anyio
async def test_a_card_closes_when_its_suggestion_is_decided_elsewhere(server: FakeServer) -> None:
    """It is drawn anew once, and then watched no more."""
    redrawn: list[str] = []

    async def redraw() -> None:
        redrawn.append("card")

    offered = Offered()
    offered.add("s-0123456789", redraw)
    async with server.client() as client:
        assert await offered.close_decided(client) == {}
        server.status = "applied"
        assert await offered.close_decided(client) == {"s-0123456789": "applied"}
        assert await offered.close_decided(client) == {}
    assert redrawn == ["card"]


@pytest.mark.anyio
async def test_a_server_that_is_down_closes_and_decides_nothing(server: FakeServer) -> None:
    """Not knowing is no decision, and the person is told."""
    offered = Offered()
    offered.add("s-0123456789", lambda: pytest.fail("nothing is known"))
    server.answers = False
    async with server.client() as client:
        assert await offered.close_decided(client) == {}
        with pytest.raises(Unreachable, match="anomalyst serve"):
            await decide(client, Said.of(SEEN))


@pytest.mark.anyio
async def test_the_servers_refusal_reaches_the_person_in_its_words(server: FakeServer) -> None:
    """A problem's message, status and kind are kept."""
    server.status = "rejected"
    async with server.client() as client:
        with pytest.raises(Refused, match="it was decided before") as refused:
            await client.decide("s-0123456789", approved=True, digest="d" * 32, reason="", override=[])
    assert (refused.value.status, refused.value.kind) == (409, "ApprovalStale")


@pytest.mark.anyio
async def test_a_card_that_could_not_be_drawn_is_drawn_at_the_next_look(server: FakeServer) -> None:
    """The server refuses while it trains: the card is not lost, and is told of only once it shows what was decided."""
    refusals = [Refused("there is no detector yet", 404)]

    async def redraw() -> None:
        if refusals:
            raise refusals.pop()

    offered = Offered()
    offered.add("s-0123456789", redraw)
    server.status = "approved"
    async with server.client() as client:
        assert await offered.close_decided(client) == {}
        assert await offered.close_decided(client) == {"s-0123456789": "approved"}


@pytest.mark.anyio
async def test_who_decided_is_not_told_that_it_was_elsewhere(server: FakeServer) -> None:
    """The look may come between the decision and its own words: the card is redrawn and nothing more is said."""
    redrawn: list[str] = []

    async def redraw() -> None:
        redrawn.append("card")

    offered = Offered(mine={"s-0123456789"})
    offered.add("s-0123456789", redraw)
    server.status = "applied"
    async with server.client() as client:
        assert await offered.close_decided(client) == {}
    assert redrawn == ["card"]
