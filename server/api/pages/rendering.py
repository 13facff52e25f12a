"""Pages out of templates. What comes from devices, notes and files is foreign: escaped, capped, its invisible signs shown."""

import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.api.errors import Problem

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LONGEST = 300


def foreign(text: object, most: int = _LONGEST) -> str:
    """Foreign text in quotation marks, at most `most` characters of it, signs that steer or show nothing spelled out."""
    told = str(text)
    shown = "".join(_spelled(sign) if unicodedata.category(sign) in _UNSEEN else sign for sign in told[:most])
    return f"“{shown}{'…' if len(told) > most else ''}”"


def _spelled(sign: str) -> str:
    return sign.encode("unicode_escape", "backslashreplace").decode("ascii")


def moment(time: datetime | None) -> str:
    """A time to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if time else "the beginning"


def signed(number: float) -> str:
    """A number to four digits, with its sign."""
    return f"{number:+.4g}"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"foreign": foreign, "moment": moment, "signed": signed}


def page(request: Request, template: str, status: int = 200, **shown: Any) -> Response:
    """The template filled in; `reader` is who has logged in, if anyone, and `leaves` whether they can log out."""
    session = getattr(request.state, "session", None)
    known = {
        "reader": session.principal if session else None,
        "leaves": request.app.state.door.verifier is not None,
        "token": request.app.state.sessions.form_token(session) if session else "",
    }
    return HTMLResponse(_templates.get_template(template).render({**known, **shown}), status)


def as_page(request: Request, problem: Problem) -> Response:
    """A problem in words for a person."""
    return page(request, "problem.html", problem.status, problem=problem)
