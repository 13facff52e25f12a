"""The approval page: log in, see what waits, see one suggestion whole, say yes or no to it."""

import re
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from server.api.door import Door, Parts
from server.api.errors import PageExpired
from server.api.pages.browser import PATH, Browser, Sent, one, person, remember
from server.api.pages.rendering import page
from server.api.pages.sessions import Session
from server.api.pages.shown import changed_settings, chart, counted, moves, unsettled
from server.app import App
from server.domain.identity import Principal, Scope
from server.domain.suggestion import Preview, StandingSuggestion, SuggestionStatus
from server.errors import ApprovalStale, InvalidInput
from server.tools.policy import principal_of

PREFIX = PATH
router = APIRouter(prefix=PATH, include_in_schema=False)
_STYLE = FilePath(__file__).parent / "style.css"
_REASON = 2_000
_LISTED = 50
_OWN_PAGE = re.compile(r"/approvals(/[A-Za-z0-9][A-Za-z0-9_.:-]{0,127})?")
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]


@router.get("/style.css")
def style() -> Response:
    """How the pages look."""
    return FileResponse(_STYLE, media_type="text/css", headers={"Cache-Control": "max-age=300"})


@router.get("/login")
def ask_to_log_in(request: Request, session: Browser, to: Annotated[str, Query(max_length=200)] = PATH) -> Response:
    """A form for a token."""
    return remember(request, page(request, "login.html", to=_own(to), refused=False), session)


@router.post("/login")
async def log_in(request: Request, session: Browser, form: Sent) -> Response:
    """A session of the token's bearer, if the token is good."""
    door: Door = request.app.state.door
    access = await door.verifier.verify_token(one(form, "secret").strip()) if door.verifier else None
    if access is None:
        return remember(request, page(request, "login.html", 401, to=_own(one(form, "to")), refused=True), session)
    begun = request.app.state.sessions.begun(person(principal_of(access)), _until(access.expires_at))
    return remember(request, RedirectResponse(_own(one(form, "to")), 303), begun)


@router.post("/logout")
async def log_out(request: Request, _: Browser, __: Sent) -> Response:
    """Nobody's session."""
    return remember(request, RedirectResponse(f"{PATH}/login", 303), request.app.state.sessions.begun())


@router.get("")
def list_suggestions(request: Request, session: Browser, app: Parts) -> Response:
    """What waits for a decision, and what was decided lately."""
    if session.principal is None:
        return _to_log_in(PATH)
    pending = app.corrections.page(session.principal, status=SuggestionStatus.PENDING, limit=_LISTED)
    every = app.corrections.page(session.principal, limit=_LISTED)
    others = [each for each in every.suggestions if each.status is not SuggestionStatus.PENDING]
    return remember(request, page(request, "list.html", pending=pending, others=others), session)


@router.get("/{suggestion}")
def show_suggestion(suggestion: Id, request: Request, session: Browser, app: Parts) -> Response:
    """One suggestion as it is stored: what it changes, why, what it would do, and the form to decide on it."""
    if session.principal is None:
        return _to_log_in(f"{PATH}/{suggestion}")
    standing = app.corrections.get(session.principal, suggestion)
    preview = _preview(app, session.principal, standing)
    may_decide = Scope.APPROVE in session.principal.scopes and standing.status is SuggestionStatus.PENDING
    answer = page(
        request,
        "suggestion.html",
        standing=standing,
        suggestion=standing.suggestion,
        preview=preview,
        moves=moves(app, standing.suggestion),
        settings=changed_settings(app, standing.suggestion),
        chart=chart(preview),
        counts=counted(preview),
        unsettled=unsettled(preview),
        may_decide=may_decide,
    )
    return remember(request, answer, session)


@router.post("/{suggestion}")
def decide(suggestion: Id, session: Browser, form: Sent, app: Parts) -> Response:
    """Record the decision on exactly what the page showed, then show what came of it."""
    who = _reader(session)
    said, reason = one(form, "decision"), one(form, "reason")
    if said not in {"approve", "reject"}:
        raise InvalidInput("say either approve or reject.")
    if len(reason) > _REASON or "\x00" in reason:
        raise InvalidInput(f"the reason may have at most {_REASON:,} characters of text. Shorten it.")
    if said == "approve":
        _check_seen(app, who, suggestion, one(form, "preview"))
    app.corrections.decide(
        who,
        suggestion,
        approved=said == "approve",
        digest=one(form, "digest"),
        reason=reason,
        override=tuple(form.get("override", ())),
    )
    return RedirectResponse(f"{PATH}/{suggestion}", 303)


def _check_seen(app: App, who: Principal, suggestion: str, digest: str) -> None:
    """Return if the preview is still the one that the person saw: verdicts may have come in since."""
    standing = app.corrections.get(who, suggestion)
    preview = _preview(app, who, standing)
    if standing.status is SuggestionStatus.PENDING and (preview is None or preview.digest != digest):
        raise ApprovalStale("what the change would do is no longer what the page showed. Load it again, then decide.")


def _preview(app: App, who: Principal, standing: StandingSuggestion) -> Preview | None:
    try:
        return app.corrections.preview(who, standing.suggestion.id)
    except ApprovalStale:
        return None


def _reader(session: Session) -> Principal:
    if session.principal is None:
        raise PageExpired("nobody is logged in here. Log in, then decide.")
    return session.principal


def _to_log_in(to: str) -> Response:
    return RedirectResponse(f"{PATH}/login?to={to}", 303)


def _own(to: str) -> str:
    """The page to go to: one of these, wherever the address came from."""
    return to if _OWN_PAGE.fullmatch(to) else PATH


def _until(expires: int | None) -> datetime | None:
    return datetime.fromtimestamp(expires, UTC) if expires else None
