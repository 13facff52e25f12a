"""Who is talking: the local user, or one of the people of the file, known by a password, a proxy's header, or a provider."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import chainlit as cl
from chainlit.auth import create_jwt, get_token_from_cookies, set_auth_cookie
from chainlit.auth.jwt import decode_jwt
from jwt import InvalidTokenError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from chat_ui.desk import Desk
from chat_ui.people import PeopleUnreadable, Person
from chat_ui.settings import Login


def register_login(desk: Desk) -> None:
    """Have Chainlit ask for what the settings say. Raises `PeopleUnreadable` where they name OAuth and no provider."""
    local = desk.people.only()
    if local is not None:
        _believe(local)
        return
    {Login.PASSWORD: _ask_for_password, Login.HEADER: _read_header, Login.OAUTH: _ask_provider}[desk.settings.login](desk)


def cookies_of(local: Person, desk: Desk) -> Callable[[Request], Awaitable[Sequence[str]]]:
    """What `LetIn` asks: Chainlit's cookies for the local user, who is then known to the store of threads as well."""

    async def wanted(request: Request) -> Sequence[str]:
        if _holds(get_token_from_cookies(dict(request.cookies)), local.name):
            return ()
        user = _user(local)
        await desk.store.create_user(user)
        response = Response()
        set_auth_cookie(request, response, create_jwt(user))
        return response.headers.getlist("set-cookie")

    return wanted


def _holds(token: str | None, name: str) -> bool:
    try:
        return token is not None and decode_jwt(token).identifier == name
    except InvalidTokenError:
        return False


def _believe(local: Person) -> None:
    async def be_local(_: Headers) -> cl.User | None:
        return _user(local)

    cl.header_auth_callback(be_local)


def _ask_for_password(desk: Desk) -> None:
    async def log_in(username: str, password: str) -> cl.User | None:
        # a hash that is slow to try must not hold up everyone else
        return _user_if(await asyncio.to_thread(desk.people.admitted, username, password))

    cl.password_auth_callback(log_in)


def _read_header(desk: Desk) -> None:
    async def be_named(headers: Headers) -> cl.User | None:
        # `security` has taken the header away where no proxy of ours has sent it
        return _user_if(desk.people.named(headers.get(desk.settings.user_header, "")))

    cl.header_auth_callback(be_named)


def _ask_provider(desk: Desk) -> None:
    async def be_provided(_: str, __: str, ___: dict[str, Any], user: cl.User, ____: str | None = None) -> cl.User | None:
        return _user_if(desk.people.named(str(user.identifier)))

    try:
        cl.oauth_callback(be_provided)
    except ValueError as error:
        raise PeopleUnreadable(
            "ANOMALYST_CHAT__LOGIN=oauth needs a provider: set the variables of one, such as OAUTH_GITHUB_CLIENT_ID and "
            "OAUTH_GITHUB_CLIENT_SECRET."
        ) from error


def _user(person: Person) -> cl.User:
    return cl.User(identifier=person.name, metadata={"profile": person.profile})


def _user_if(person: Person | None) -> cl.User | None:
    return _user(person) if person else None
