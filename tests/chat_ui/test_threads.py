"""Threads are kept in SQLite with their elements, and an element is its thread's owner's alone."""

import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from chat_ui.people import Person
from chat_ui.places import prepare

pytestmark = pytest.mark.anyio
_KEY = "unknown/e1/chart 1"


@pytest.fixture(scope="module", autouse=True)
def chainlit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Chainlit, imported with a folder of its own; it and what it imports warn of themselves."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("CHAINLIT_APP_ROOT", "CHAINLIT_AUTH_SECRET", "CHAINLIT_COOKIE_SAMESITE"):
            patch.setenv(name, "lax")
        prepare(tmp_path_factory.mktemp("chainlit"))
        import chat_ui.threads  # noqa: F401, PLC0415 - reads the environment

        yield


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[object]:
    """An empty store."""
    from chat_ui.threads import thread_store  # noqa: PLC0415 - imports Chainlit

    made = thread_store(tmp_path)
    yield made
    await made.engine.dispose()


async def test_a_thread_keeps_its_tags(store: object) -> None:
    """Chainlit hands them over as a list, which SQLite refuses without an adapter, and the thread would be gone."""
    from chainlit.data.sql_alchemy import SQLAlchemyDataLayer  # noqa: PLC0415 - as above

    assert isinstance(store, SQLAlchemyDataLayer)
    await store.update_thread("t1", name="first", tags=["operator"])
    found = await store.execute_sql('SELECT "tags" FROM threads', {})
    assert found == [{"tags": '["operator"]'}]


async def test_an_element_keeps_its_mime_type_and_its_owner(store: object) -> None:
    """A chart comes back as JSON, and belongs to whose thread it is in, whatever its key begins with."""
    from chainlit.data.sql_alchemy import SQLAlchemyDataLayer  # noqa: PLC0415 - as above

    from chat_ui.threads import ElementFolder, owner_of_element  # noqa: PLC0415 - as above

    assert isinstance(store, SQLAlchemyDataLayer)
    folder = store.storage_provider
    assert isinstance(folder, ElementFolder)
    kept = await folder.upload_file(_KEY, b"{}", "application/json")
    await store.execute_sql('INSERT INTO threads ("id", "userIdentifier") VALUES (:id, :owner)', {"id": "t1", "owner": "ann"})
    await store.execute_sql(
        'INSERT INTO elements ("id", "threadId", "name", "objectKey") VALUES (:id, :thread, :name, :key)',
        {"id": "e1", "thread": "t1", "name": "chart", "key": _KEY},
    )
    assert kept == {"object_key": _KEY, "url": f"/elements/{_KEY}"}
    assert folder.read(_KEY) == (b"{}", "application/json")
    assert await owner_of_element(store, _KEY) == "ann"
    assert await owner_of_element(store, "other") is None
    assert await folder.delete_file(_KEY)
    assert folder.read(_KEY) is None


async def test_a_key_is_no_path(store: object, tmp_path: Path) -> None:
    """Names of elements are in keys: none of them leaves the folder."""
    from chat_ui.threads import ElementFolder  # noqa: PLC0415 - imports Chainlit

    folder = ElementFolder(tmp_path / "elements")
    await folder.upload_file("../../outside", b"x", "text/plain")
    assert store
    assert not (tmp_path.parent / "outside.blob").exists()
    assert len(list((tmp_path / "elements").glob("*.blob"))) == 1


def test_a_history_is_replaced_whole(tmp_path: Path) -> None:
    """The newest stands; a thread without one has none."""
    from chat_ui.threads import Histories  # noqa: PLC0415 - imports Chainlit

    histories = Histories(tmp_path)
    histories.write("t1", b"[1]")
    histories.write("t1", b"[2]")
    assert histories.read("t1") == b"[2]"
    assert histories.read("t2") is None


@pytest.mark.parametrize("brought", ["", "garbage", "stale", "another", "own"])
async def test_the_local_user_is_given_cookies_unless_their_own_still_hold(
    store: object, brought: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is known to the store from then on: threads have an owner."""
    from chainlit import User  # noqa: PLC0415 - as above
    from chainlit.auth import create_jwt, get_token_from_cookies  # noqa: PLC0415 - as above
    from chainlit.auth.jwt import decode_jwt  # noqa: PLC0415 - as above
    from chainlit.config import config  # noqa: PLC0415 - as above

    from chat_ui.login import cookies_of  # noqa: PLC0415 - as above

    monkeypatch.setenv("CHAINLIT_AUTH_SECRET", "long enough for what it has to sign")
    with pytest.MonkeyPatch.context() as patch:
        if brought == "stale":
            patch.setattr(config.project, "user_session_timeout", -1)
        made = {"": "", "garbage": "of.an.earlier"}.get(brought) or create_jwt(User("ann" if brought == "another" else "boss"))
    headers = [(b"cookie", f"access_token={made}".encode())] if brought else []
    wanted = cookies_of(Person("boss"), SimpleNamespace(store=store))
    given = await wanted(Request({"type": "http", "method": "GET", "path": "/", "headers": headers}))
    if brought == "own":
        assert not given
        return
    token = get_token_from_cookies({"access_token": given[-1].partition("access_token=")[2].partition(";")[0]})
    assert decode_jwt(str(token)).identifier == "boss"
    assert await store.get_user("boss") is not None
