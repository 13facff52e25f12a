"""The client against the real server: the person's token decides, and foreign names reach it whole."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from chat_ui.client import Client, Refused, Unreachable

pytestmark = pytest.mark.anyio


async def test_a_device_with_a_hostile_name_is_found(served: Any, markdown: str) -> None:
    """Brackets, slashes and exclamation marks survive the path."""
    async with Client(served.url, served.token) as client:
        assert (await client.timeline(markdown, "drain"))["device"] == markdown


async def test_who_may_only_read_is_refused_in_the_servers_words(served: Any) -> None:
    """A verdict with a reader's token is a 403 that names the missing scope."""
    async with Client(served.url, f"{served.token}_reader") as client:
        worst = (await client.get("/anomalies", limit=1))["anomalies"][0]["id"]
        with pytest.raises(Refused, match="feedback") as refused:
            await client.mark("true", anomaly=worst, incident=None, note="", expires=None)
    assert refused.value.status == 403


async def test_a_wrong_token_reads_nothing(served: Any) -> None:
    """A 401, not an empty dashboard."""
    async with Client(served.url, "anomalyst_wrong") as client:
        with pytest.raises(Refused) as refused:
            await client.overview()
    assert refused.value.status == 401


async def test_a_server_that_is_not_there_is_said_to_be() -> None:
    """With what to do."""
    async with Client("http://127.0.0.1:9") as client:
        with pytest.raises(Unreachable, match="anomalyst serve"):
            await client.overview()


async def test_an_answer_that_is_no_problem_is_told_by_its_status() -> None:
    """A proxy's page in between is not repeated."""
    broken = httpx.MockTransport(lambda _: httpx.Response(502, text="<html>bad gateway</html>"))
    async with Client("http://server", transport=broken) as client:
        with pytest.raises(Refused, match="502"):
            await client.overview()


async def test_a_name_cannot_leave_its_path() -> None:
    """Question marks and dots in a name stay in the name."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(200, json={"status": "pending"})

    async with Client("http://server", transport=httpx.MockTransport(answer)) as client:
        await client.status("s?admin=1#x")
    assert asked == [f"/api/v1/suggestions/{quote('s?admin=1#x')}"]
