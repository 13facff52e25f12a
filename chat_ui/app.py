"""The chat as an ASGI app: Chainlit mounted in an app of ours, behind the checks of `security`."""

import warnings
from threading import Thread
from typing import TYPE_CHECKING

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp

from agent.settings import AgentSettings
from chat_ui.opened import Opened
from chat_ui.people import People
from chat_ui.places import ASSETS, prepare
from chat_ui.security import Believed, Guarded, LetIn, without_foreign_links
from chat_ui.settings import ChatSettings, Login

if TYPE_CHECKING:
    from chainlit.data.sql_alchemy import SQLAlchemyDataLayer


def create_app(settings: ChatSettings, agent: AgentSettings, people: People) -> ASGIApp:
    """The app. `agent` names the server's address; Chainlit is imported here, after its folder is laid out.

    One process can have one such app: Chainlit keeps its hooks and settings in modules.
    """
    prepare(settings.folder, sent_here_from_elsewhere=settings.login is Login.OAUTH)
    from chainlit.server import app as chainlit_app  # noqa: PLC0415 - reads its settings when it is imported
    from chainlit.utils import mount_chainlit  # noqa: PLC0415 - as above

    from chat_ui.desk import Desk, learn_words  # noqa: PLC0415 - as above
    from chat_ui.hooks import register  # noqa: PLC0415 - as above
    from chat_ui.login import cookies_of  # noqa: PLC0415 - as above
    from chat_ui.threads import Histories, thread_store  # noqa: PLC0415 - as above

    store, opened = thread_store(settings.folder), Opened(settings.folder / "opened.json")
    desk = Desk(people, agent, settings, store, Histories(settings.folder / "histories"), opened)
    register(desk)
    Thread(target=learn_words, daemon=True).start()
    _keep_page_here()
    app = FastAPI(title="Anomalyst chat", docs_url=None, redoc_url=None, openapi_url=None)
    _add_health(app)
    _add_elements(app, desk.store)
    mount_chainlit(app, str(ASSETS / "entry.py"), path="")
    # it keeps other paths away, of which there are none here, and logs a traceback for every request that a browser gives up
    chainlit_app.user_middleware[:] = [
        each for each in chainlit_app.user_middleware if "ChainlitMiddleware" not in str(each.cls)
    ]
    # Chainlit asks for the profiles once more where it cannot wait for them, and goes on without
    warnings.filterwarnings("ignore", message=r"coroutine '.*profiles' was never awaited")
    local = people.only()
    let_in = LetIn(app, cookies_of(local, desk)) if local else app
    believed = Believed(settings.user_header, frozenset(settings.proxies)) if settings.login is Login.HEADER else None
    return Guarded(let_in, settings.hosts, settings.origins, believed)


def _keep_page_here() -> None:
    """Take the links to fonts and styles elsewhere out of Chainlit's page: a browser connects to some before any policy."""
    from chainlit import server  # noqa: PLC0415 - as in `create_app`

    drawn = server.get_html_template

    def own_page(root_path: str) -> str:
        return without_foreign_links(drawn(root_path))

    server.get_html_template = own_page


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz")
    def health() -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse({"status": "ok"})


def _add_elements(app: FastAPI, store: "SQLAlchemyDataLayer") -> None:
    """Elements of stored threads, to whom the thread belongs."""
    from chainlit.auth import get_current_user, get_token_from_cookies  # noqa: PLC0415 - as in `create_app`

    from chat_ui.threads import ELEMENTS, ElementFolder, owner_of_element  # noqa: PLC0415 - as above

    @app.get(ELEMENTS + "/{key:path}")
    async def element(key: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        token = get_token_from_cookies(dict(request.cookies))
        user = await get_current_user(token) if token else None
        owner = await owner_of_element(store, key)
        folder = store.storage_provider
        found = folder.read(key) if isinstance(folder, ElementFolder) else None
        # whose it is, and whether it is at all, is told to nobody else
        if user is None or owner is None or owner != user.identifier or found is None:
            raise HTTPException(404, "there is nothing at this address.")
        return Response(found[0], media_type=found[1], headers={"cache-control": "private, max-age=3600"})
