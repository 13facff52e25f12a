"""The one place where an error becomes an HTTP answer: `application/problem+json`, or a page where a person reads it."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.fields import printable
from server.errors import (
    AdjustmentOutOfBounds,
    AnomalystError,
    ApprovalMissing,
    ApprovalStale,
    ArtifactDamaged,
    GateClosed,
    InvalidInput,
    NotAllowed,
    NotEnoughData,
    NotFound,
    PathNotAllowed,
    RunBusy,
    StageNotReady,
    StoreBusy,
    TelemetryPruned,
    Unavailable,
)
from server.tools.errors import masked

MEDIA_TYPE = "application/problem+json"
_MOST_FAULTS = 3


class TokenNeeded(NotAllowed):
    """The request has no bearer token, or one that is not good; which of the two, nobody is told."""


class PageExpired(NotAllowed):
    """A form came from elsewhere than a page of this session, or the session is over."""


STATUS: Mapping[type[AnomalystError], int] = {
    StageNotReady: 409,
    NotFound: 404,
    TelemetryPruned: 404,
    InvalidInput: 422,
    PathNotAllowed: 422,
    NotEnoughData: 422,
    AdjustmentOutOfBounds: 422,
    NotAllowed: 403,
    TokenNeeded: 401,
    PageExpired: 403,
    ApprovalMissing: 409,
    ApprovalStale: 409,
    GateClosed: 409,
    ArtifactDamaged: 500,
    RunBusy: 409,
    Unavailable: 503,
    StoreBusy: 503,
}
"""Every error that is raised on purpose. What is not here is masked as 500, with a log id."""


class Problem(BaseModel):
    """Why a call was refused or failed, and what to do next."""

    type: str = "about:blank"
    title: str = Field(description="the status in words")
    status: int
    error: str = Field(description="the kind of error, such as StageNotReady")
    message: str = Field(description="what was wrong and what to do")
    next_tool: str | None = Field(default=None, description="the stage to call next, where one is missing or stale")


Rendering = Callable[[Request, Problem], Response]


def problem_of(error: AnomalystError) -> Problem:
    """The error as its caller reads it."""
    following = error.blocker if isinstance(error, StageNotReady) else None
    return _problem(STATUS[type(error)], type(error).__name__, str(error), following)


def as_json(_: Request, problem: Problem) -> Response:
    """The problem as JSON."""
    headers = {"WWW-Authenticate": 'Bearer realm="anomalyst"'} if problem.status == HTTPStatus.UNAUTHORIZED else {}
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "2"
    return JSONResponse(problem.model_dump(), problem.status, headers, MEDIA_TYPE)


def add_translation(app: FastAPI, render: Rendering) -> None:
    """Have every error of the app answered by `render`."""

    async def told(request: Request, error: Exception) -> Response:
        return render(request, problem_of(error) if type(error) in STATUS else hidden(error))  # pyright: ignore[reportArgumentType]

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for that alone
        answer = render(request, _problem(error.status_code, "InvalidInput", _words(request, error)))
        answer.headers.update(error.headers or {})
        return answer

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        return render(request, _problem(422, "InvalidInput", _faults(error.errors())))

    app.add_exception_handler(AnomalystError, told)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)


class Masking:
    """Answers what nobody foresaw with a log id; the log has all of it."""

    def __init__(self, app: ASGIApp, render: Rendering) -> None:
        self._app, self._render = app, render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; once an answer has begun, a fault can only end it."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            await self._render(Request(scope), hidden(error))(scope, receive, send)


def hidden(error: BaseException) -> Problem:
    """Words that reveal nothing of the error but the id under which the log has it."""
    return _problem(500, "InternalError", masked(error))


def _problem(status: int, error: str, message: str, next_tool: str | None = None) -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, error=error, message=message, next_tool=next_tool)


def _words(request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return "there is nothing at this address. /openapi.json lists what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method[:20]} is not answered here. /openapi.json lists what is."
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "the body is too long. A telemetry file may have 100 MiB, any other body 1 MiB: send it in parts."
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return "the body cannot be read as JSON in UTF-8. Send it so, without Content-Encoding."
    return str(error.detail)


def _faults(faults: Sequence[Any]) -> str:
    """Which arguments are wrong and what they have to be. Of the value nothing is repeated, of a foreign name little."""
    told = [f"`{_where(fault['loc'])}`: {fault['msg'].removeprefix('Value error, ')}" for fault in faults[:_MOST_FAULTS]]
    more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
    return f"{'; '.join(told)}{more}."


def _where(path: Sequence[Any]) -> str:
    return printable(".".join(str(part) for part in path[1:]) or str(path[0]))
