"""People whom somebody else knows: a provider over OAuth, or a proxy that names them in a header."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


class _Provider(BaseHTTPRequestHandler):
    """Lets in whoever comes, under the address that the server was given; a code is good for a token, and that for the name."""

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if self.path.startswith("/authorize"):
            self.send_response(302)
            # quoted: a state may hold a per cent sign
            self.send_header("location", f"{asked['redirect_uri']}?{urlencode({'code': 'c0de', 'state': asked['state']})}")
            self.end_headers()
        else:
            known = self.headers["authorization"] == "Bearer t0ken"
            self._tell({"email": self.server.person if known else None})  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        sent = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        right = sent["code"] == ["c0de"] and sent["client_secret"] == ["s3cret"]
        self._tell({"access_token": "t0ken"} if right else {})

    def _tell(self, told: Any) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[Any]:
    """A provider on this machine; `person` is who has logged in there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def names(served: Any, tmp_path: Path) -> Path:
    """Ann, by her address, without a password."""
    path = tmp_path / "people.toml"
    path.write_text(f'["ann@example.org"]\ntoken = "{served.token_of("ann")}"\n', "utf-8")
    path.chmod(0o600)
    return path


def test_a_provider_says_who_it_is(
    browsing: Callable[..., Any], provider: Any, served: Any, chatting: Any, names: Path, tmp_path: Path
) -> None:
    """Whom the file names is let in under that name; whom it does not name is not, though the provider knows them."""
    there = f"http://127.0.0.1:{provider.server_port}"
    oauth = {
        "ANOMALYST_CHAT__LOGIN": "oauth",
        "ANOMALYST_CHAT__PEOPLE": str(names),
        "OAUTH_GENERIC_CLIENT_ID": "chat",
        "OAUTH_GENERIC_CLIENT_SECRET": "s3cret",
        "OAUTH_GENERIC_AUTH_URL": f"{there}/authorize",
        "OAUTH_GENERIC_TOKEN_URL": f"{there}/token",
        "OAUTH_GENERIC_USER_INFO_URL": f"{there}/me",
        "OAUTH_GENERIC_SCOPES": "openid email",
        "NO_PROXY": "127.0.0.1",
    }
    with chatting(served, tmp_path / "chat", **oauth) as chat:
        provider.person = "eve@example.org"
        stranger = browsing()
        stranger.page.goto(chat.url)
        stranger.page.get_by_role("button", name="generic").click()
        stranger.page.wait_for_url("**/login?error=*")
        assert stranger.page.get_by_text("Open incidents, worst first").count() == 0
        provider.person = "ann@example.org"
        known = browsing()
        known.page.goto(chat.url)
        known.page.get_by_role("button", name="generic").click()
        known.page.get_by_text("Open incidents, worst first").wait_for()
        cookies = {each["name"]: each for each in known.page.context.cookies()}
        assert cookies["access_token"]["sameSite"] == "Lax"


def test_a_proxy_names_who_it_is(served: Any, chatting: Any, names: Path, tmp_path: Path) -> None:
    """The header of a proxy on this machine lets in whom the file names, and nobody else; without it, nobody."""
    header = {"ANOMALYST_CHAT__LOGIN": "header", "ANOMALYST_CHAT__PEOPLE": str(names)}
    with chatting(served, tmp_path / "chat", **header) as chat, httpx.Client(trust_env=False, timeout=60) as proxy:
        told = {
            name: proxy.post(f"{chat.url}/auth/header", headers={"x-forwarded-user": name} if name else {}).status_code
            for name in ("ann@example.org", "eve@example.org", "")
        }
    assert told == {"ann@example.org": 200, "eve@example.org": 401, "": 401}
