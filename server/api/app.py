"""The HTTP app, put together: the routes below /api/v1, the approval page, and what answers beside them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from server.api import (
    anomalies,
    approvals,
    audit,
    baselines,
    callers,
    devices,
    docs,
    exports,
    feedback,
    incidents,
    keeping,
    overview,
    runs,
    suggestions,
    uploads,
)
from server.api.door import Door
from server.api.errors import Masking, Problem, add_translation, as_json
from server.api.fields import refuse_unknown
from server.api.framing import OneLength
from server.api.headers import SafeHeaders
from server.api.metering import Metered
from server.api.pages import pages
from server.api.pages.rendering import as_page
from server.api.pages.sessions import Sessions, signing_key
from server.tools.desk import Desk
from server.tools.tokens import Verifier
from server.tools.web import Guarded

PREFIX = "/api/v1"
MOST_BYTES = 1 << 20
_SUBJECTS = (
    runs,
    overview,
    anomalies,
    incidents,
    devices,
    baselines,
    feedback,
    suggestions,
    approvals,
    exports,
    audit,
    uploads,
    callers,
    keeping,
)
_PROBLEM = {"model": Problem, "content": {"application/problem+json": {}}}
_REFUSALS: dict[int | str, dict[str, Any]] = dict.fromkeys((401, 403, 404, 409, 422, 503), _PROBLEM)


def build_api(
    desk: Desk, security: TransportSecuritySettings, verifier: Verifier | None, *, beside: Starlette | None = None
) -> FastAPI:
    """The app over the desk's parts, under the host names and origins of `security`. It opens and closes no store.

    `verifier` knows tokens; with None, whoever calls from this machine is the local user. All other paths are answered by
    `beside` (the MCP app), whose lifespan is entered with this one's.

    Raises:
        InvalidInput: the key that the page's sessions are signed with can be read by others.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        desk.listen_here()
        if beside is None:
            yield
        else:
            async with beside.router.lifespan_context(beside):
                yield

    api = FastAPI(
        title="Anomalyst",
        version=version("anomalyst"),
        description="Finds what is not normal in a fleet of devices, says why, and learns from what people say of it.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        max_body_size=MOST_BYTES,
        generate_unique_id_function=_named_after_its_function,
    )
    api.state.desk, api.state.door = desk, Door(desk.app.settings, verifier, desk.limit)
    api.state.sessions = Sessions(signing_key(desk.app.settings.home, desk.app.settings.tokens))
    add_translation(api, _rendered)
    for router in (docs.router, pages.router, _routes()):  # the last one ends with what answers all other paths
        api.include_router(router)
    if beside is not None:
        api.mount("/", beside)
    api.add_middleware(Masking, render=_rendered)
    api.add_middleware(Metered, prefix=PREFIX, meters=desk.meters)
    api.add_middleware(SafeHeaders)
    api.add_middleware(Guarded, security=security)
    api.add_middleware(OneLength)
    return api


def _routes() -> APIRouter:
    whole = APIRouter(prefix=PREFIX, dependencies=[Depends(refuse_unknown)], responses=_REFUSALS)
    for subject in _SUBJECTS:
        whole.include_router(subject.router)

    @whole.api_route("/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def nothing_here(rest: str) -> None:
        raise HTTPException(404, rest)

    return whole


def _rendered(request: Request, problem: Problem) -> Response:
    """The problem as a page where a person reads it, else as JSON."""
    return as_page(request, problem) if request.url.path.startswith(pages.PREFIX) else as_json(request, problem)


def _named_after_its_function(route: APIRoute) -> str:
    return route.name
