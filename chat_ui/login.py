"""Who is talking: the local user, or one of the people of the file, known by a password, a proxy's header, or a provider."""

import asyncio
from typing import Any

import chainlit as cl
from starlette.datastructures import Headers

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


def _believe(local: Person) -> None:
    async def be_local(_: Headers) -> cl.User | None:
        return _user(local)

    cl.header_auth_callback(be_local)


def _ask_for_password(desk: Desk) -> None:
    async def log_in(username: str, password: str) -> cl.User | None:
        # a hash that is slow to try must not hold up everyone else
        return _user(await asyncio.to_thread(desk.people.admitted, username, password))

    cl.password_auth_callback(log_in)


def _read_header(desk: Desk) -> None:
    async def be_named(headers: Headers) -> cl.User | None:
        # `security` has taken the header away where no proxy of ours has sent it
        return _user(desk.people.named(headers.get(desk.settings.user_header, "")))

    cl.header_auth_callback(be_named)


def _ask_provider(desk: Desk) -> None:
    async def be_provided(_: str, __: str, ___: dict[str, Any], user: cl.User, ____: str | None = None) -> cl.User | None:
        return _user(desk.people.named(str(user.identifier)))

    try:
        cl.oauth_callback(be_provided)
    except ValueError as error:
        raise PeopleUnreadable(
            "ANOMALYST_CHAT__LOGIN=oauth needs a provider: set the variables of one, such as OAUTH_GITHUB_CLIENT_ID and "
            "OAUTH_GITHUB_CLIENT_SECRET."
        ) from error


def _user(person: Person | None) -> cl.User | None:
    return cl.User(identifier=person.name, metadata={"profile": person.profile}) if person else None
