"""The server over HTTP, as the person who clicks: what dashboards draw, verdicts, and decisions."""

from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

Payload = Mapping[str, Any]
PREFIX = "/api/v1"
_WORK_SECONDS = 1800.0
_MISSING, _CONFLICT = 404, 409


class Refused(Exception):
    """The server said no; the message is its own and says what to do next."""

    def __init__(self, message: str, status: int, kind: str = "") -> None:
        super().__init__(message)
        self.status, self.kind = status, kind

    @property
    def before_ingestion(self) -> bool:
        """Whether a stage has to come first: asked of the whole fleet, that nothing was ingested yet."""
        return self.kind == "StageNotReady"


class Unreachable(Exception):
    """The server does not answer."""


class Client:
    """One person's calls. `transport` replaces the network."""

    def __init__(self, url: str, token: str | None = None, transport: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(
            base_url=f"{url.rstrip('/')}{PREFIX}",
            headers=headers,
            transport=transport,
            timeout=60.0,
            trust_env=False,
            # a page that was closed may come back for an hour, and holds what the client keeps open as long
            limits=httpx.Limits(max_keepalive_connections=1),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def get(self, path: str, **asked: Any) -> Payload:
        """What GET answers; what is None is not asked. Raises `Refused` or `Unreachable`."""
        return await self._sent("GET", path, params=_told(asked))

    async def post(self, path: str, *, seconds: float = 60.0, **told: Any) -> Payload:
        """What POST answers; what is None is not told. Raises as `get`."""
        return await self._sent("POST", path, json=_told(told), timeout=seconds)

    async def scopes(self) -> frozenset[str] | None:
        """What the token may do; None if the server is older than that question."""
        try:
            return frozenset((await self.get("/me"))["scopes"])
        except Refused as error:
            if error.status != _MISSING:
                raise
            return None

    async def upload(self, name: str, path: Path) -> Payload:
        """Send a telemetry file; what its columns are taken for. Raises as `get`, and if it is no telemetry."""
        content = await to_thread(path.read_bytes)
        return await self._sent("POST", "/uploads", params={"name": name}, content=content, timeout=_WORK_SECONDS)

    async def overview(self) -> Payload:
        """What the dashboard draws."""
        return await self.get("/overview")

    async def explanation(self, *, anomaly: str | None = None, device: str | None = None) -> Payload:
        """Why an anomaly is one; for a device, its worst."""
        return await self.get("/explanations", anomaly=anomaly, device=device)

    async def timeline(self, device: str, metric: str, since: str | None = None, until: str | None = None) -> Payload:
        """One metric of a device through time."""
        return await self.get(f"/devices/{_segment(device)}/timeline", metric=metric, since=since, until=until, points=240)

    async def mark(self, verdict: str, *, anomaly: str | None, incident: str | None, note: str, expires: str | None) -> Payload:
        """Record the person's verdict."""
        return await self.post("/feedback", verdict=verdict, anomaly=anomaly, incident=incident, note=note, expires=expires)

    async def standing(self, suggestion: str) -> Payload:
        """A suggestion as it is stored now, with a preview where one can be made."""
        found = dict(await self.get(f"/suggestions/{_segment(suggestion)}"))
        if found["status"] in {"pending", "approved"}:
            try:
                found["preview"] = await self.get(f"/suggestions/{_segment(suggestion)}/preview")
            except Refused as error:
                if error.status != _CONFLICT:
                    raise
        return found

    async def status(self, suggestion: str) -> str:
        """Where it stands, without a preview."""
        return (await self.get(f"/suggestions/{_segment(suggestion)}"))["status"]

    async def decide(self, suggestion: str, *, approved: bool, digest: str, reason: str, override: list[str]) -> Payload:
        """Record the person's decision on exactly the content with that digest."""
        path = f"/suggestions/{_segment(suggestion)}/decision"
        return await self.post(path, approved=approved, digest=digest, reason=reason, override=override)

    async def apply(self, suggestion: str) -> Payload:
        """Carry out what was approved; answers when the fleet is scored again."""
        return await self.post(f"/suggestions/{_segment(suggestion)}/apply", seconds=_WORK_SECONDS)

    async def _sent(self, method: str, path: str, **sent: Any) -> Payload:
        if self._http.is_closed:
            raise Unreachable("this page was left while it was being drawn. Open it again.")
        try:
            answer = await self._http.request(method, path, **sent)
        except httpx.TransportError as error:
            raise Unreachable(
                f"the server does not answer ({type(error).__name__}). Start it with `anomalyst serve`."
            ) from error
        if answer.is_success:
            return answer.json()
        raise _refusal(answer)


def _refusal(answer: httpx.Response) -> Refused:
    try:
        problem = answer.json()
        return Refused(str(problem["message"]), answer.status_code, str(problem.get("error", "")))
    except (ValueError, KeyError, TypeError):
        return Refused(f"the server answered {answer.status_code} without saying why.", answer.status_code)


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _segment(name: str) -> str:
    """Foreign text as part of a path; slashes in a device's name stay, as the server takes them."""
    return quote(name, safe="/")
