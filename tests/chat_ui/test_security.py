"""Only this chat's own pages reach it, under its own names, and its answers let a browser load nothing from elsewhere."""

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from chat_ui.security import Believed, Guarded, LetIn, without_foreign_links


async def _page(_: Any) -> PlainTextResponse:
    return PlainTextResponse("page")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


@pytest.fixture
def browser() -> TestClient:
    """A browser at the chat, which is also known as chat.example behind a proxy."""
    inner = Starlette(routes=[Route("/", _page, methods=["GET", "POST"]), WebSocketRoute("/ws", _socket)])
    return TestClient(Guarded(inner, ["chat.example"], ["https://chat.example"]), base_url="http://localhost:8801")


def test_answers_let_nothing_load_from_outside(browser: TestClient) -> None:
    """The policy names no other host, and nobody may frame the page."""
    headers = browser.get("/").headers
    policy = headers["content-security-policy"]
    assert "http" not in policy
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:9999", "https://localhost:8801", "null", "http://localhost:8801.evil.example"],
)
def test_a_hostile_origin_is_refused(browser: TestClient, origin: str) -> None:
    """Another site, another port and another scheme may neither post nor open a socket."""
    assert browser.post("/", headers={"origin": origin}).status_code == 403
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/ws", headers={"origin": origin}):
        pass


@pytest.mark.parametrize("origin", ["http://localhost:8801", "https://chat.example"])
def test_its_own_pages_are_let_in(browser: TestClient, origin: str) -> None:
    """The page's own origin may, and one that the settings name."""
    assert browser.post("/", headers={"origin": origin}).status_code == 200
    own = {"origin": origin, "host": "localhost:8801"}
    with browser.websocket_connect("ws://localhost:8801/ws", headers=own) as socket:
        assert socket.receive_text() == "hello"


def test_a_name_that_is_not_its_own_is_refused(browser: TestClient) -> None:
    """A hostile name that resolves to this machine reaches nothing."""
    refused = browser.get("/", headers={"host": "evil.example:8801"})
    assert refused.status_code == 403
    assert "ANOMALYST_CHAT__HOSTS" in refused.text
    assert browser.get("/", headers={"host": "chat.example"}).status_code == 200


@pytest.mark.parametrize(("peer", "known"), [("10.0.0.7", "ann"), ("10.0.0.8", "nobody"), ("127.0.0.1", "nobody")])
def test_only_a_proxy_of_ours_may_name_a_person(peer: str, known: str) -> None:
    """From any other address the header is taken away, however it is spelled; from the proxy it is passed on."""

    async def who(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.headers.get("x-forwarded-user", "nobody"))

    believed = Believed("X-Forwarded-User", frozenset({"10.0.0.7"}))
    guarded = Guarded(Starlette(routes=[Route("/", who)]), believed=believed)
    caller = TestClient(guarded, base_url="http://localhost:8801", client=(peer, 40_000))
    assert caller.get("/", headers={"x-FORWARDED-user": "ann", "x-forwarded-for": "10.0.0.7"}).text == known


def test_links_to_another_host_leave_the_page() -> None:
    """A browser connects to some of them before it has read any policy; links of the page's own stay."""
    page = """<link rel="preconnect" href="https://fonts.example" />
      <link
      href="//cdn.example/x.css"
      rel="stylesheet"
    /><link rel="stylesheet" href="/assets/own.css">"""
    assert without_foreign_links(page).split() == ["<link", 'rel="stylesheet"', 'href="/assets/own.css">']


COOKIES = ("access_token=new; HttpOnly; Path=/; SameSite=lax", "access_token_0=gone; Max-Age=0")


async def _html(_: Request) -> Response:
    return HTMLResponse("<title>chat</title>")


async def _user(_: Request) -> Response:
    return JSONResponse({"name": "boss"})


async def _wanted(request: Request) -> Sequence[str]:
    return () if request.cookies.get("access_token") == "good" else COOKIES


@pytest.fixture
def at_home() -> TestClient:
    """A browser before pages and answers of a chat that lets its local user in."""
    inner = Starlette(routes=[Route("/", _html, methods=["GET", "POST"]), Route("/user", _user)])
    return TestClient(LetIn(inner, _wanted))


def test_a_page_brings_the_cookies(at_home: TestClient) -> None:
    """Each of them, as they are."""
    assert at_home.get("/").headers.get_list("set-cookie") == list(COOKIES)


def test_who_has_a_cookie_that_holds_is_given_none(at_home: TestClient) -> None:
    """One that does not hold is replaced."""
    assert at_home.get("/", headers={"cookie": "access_token=good"}).headers.get_list("set-cookie") == []
    assert at_home.get("/", headers={"cookie": "access_token=stale"}).headers.get_list("set-cookie") == list(COOKIES)


def test_answers_and_what_is_sent_bring_none(at_home: TestClient) -> None:
    """Only a page that is read does."""
    assert at_home.get("/user").headers.get_list("set-cookie") == []
    assert at_home.post("/").headers.get_list("set-cookie") == []
