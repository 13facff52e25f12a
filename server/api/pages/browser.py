"""The browser that asks for a page: its session, and the forms that it sends."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request
from fastapi.responses import Response

from server.api.door import Door, check_local, check_origin
from server.api.errors import PageExpired
from server.api.pages.sessions import COOKIE, Session, Sessions
from server.domain.identity import Principal, Scope
from server.tools.policy import Policy

PATH = "/approvals"
_NEEDED = frozenset({Scope.READ, Scope.APPROVE})
_MOST_FIELDS = 50
Form = dict[str, list[str]]


def person(principal: Principal) -> Principal:
    """The principal as whoever sits before the page: it may do there what the page is for, and nothing else."""
    return principal.model_copy(update={"scopes": principal.scopes & _NEEDED, "channel": "page"})


async def session_of(request: Request) -> Session:
    """The browser's session, or a new one: of the local user where no tokens are configured, else of nobody yet.

    Raises `NotAllowed` if a page of a server without tokens is asked for from another machine.
    """
    door: Door = request.app.state.door
    sessions: Sessions = request.app.state.sessions
    session = sessions.opened(request.cookies.get(COOKIE))
    local = _local_user(request, door) if door.verifier is None else None
    if session is None or session.principal is None:
        session = sessions.begun(local) if local or session is None else session
    request.state.session = session
    return session


def _local_user(request: Request, door: Door) -> Principal | None:
    check_local(request)
    user = Policy.localhost(door.settings).local_user
    return person(user.model_copy(update={"scopes": frozenset(Scope)})) if user else None


async def sent(request: Request, session: Annotated[Session, Depends(session_of)]) -> Form:
    """The fields of a form that was sent from a page of this very session.

    Raises:
        NotAllowed: another site's page sent it, or none.
        PageExpired: the session's own token is not in it.
    """
    check_origin(request, request.app.state.door.settings, needed=True)
    body = (await request.body()).decode("ascii", "replace")
    fields = parse_qs(body, max_num_fields=_MOST_FIELDS, errors="replace") if _is_form(request) and _few(body) else {}
    if not request.app.state.sessions.proven(session, one(fields, "token")):
        raise PageExpired("this form is not of your session, or the session is over. Load the page again, then decide.")
    return fields


def remember(request: Request, answer: Response, session: Session) -> Response:
    """The answer, with the session in its cookie."""
    answer.set_cookie(
        COOKIE,
        request.app.state.sessions.sealed(session),
        path=PATH,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def one(fields: Form, name: str) -> str:
    """The first value of a field; empty if there is none."""
    return fields.get(name, [""])[0]


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/x-www-form-urlencoded"


def _few(body: str) -> bool:
    return body.count("&") < _MOST_FIELDS


Browser = Annotated[Session, Depends(session_of)]
Sent = Annotated[Form, Depends(sent)]
