"""Threads in SQLite: Chainlit's tables, made when they are missing, and elements kept beside them with their MIME types."""

import json
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

from chainlit.data.sql_alchemy import SQLAlchemyDataLayer
from chainlit.data.storage_clients.base import BaseStorageClient
from chainlit.types import ThreadDict

ELEMENTS = "/elements"
# the columns that Chainlit 2.12 writes; it creates no table itself
_TABLES = """
CREATE TABLE IF NOT EXISTS users (
  "id" TEXT PRIMARY KEY, "identifier" TEXT NOT NULL UNIQUE, "metadata" TEXT NOT NULL, "createdAt" TEXT
);
CREATE TABLE IF NOT EXISTS threads (
  "id" TEXT PRIMARY KEY, "createdAt" TEXT, "name" TEXT, "userId" TEXT REFERENCES users("id") ON DELETE CASCADE,
  "userIdentifier" TEXT, "tags" TEXT, "metadata" TEXT
);
CREATE TABLE IF NOT EXISTS steps (
  "id" TEXT PRIMARY KEY, "name" TEXT NOT NULL, "type" TEXT NOT NULL,
  "threadId" TEXT NOT NULL REFERENCES threads("id") ON DELETE CASCADE, "parentId" TEXT, "streaming" BOOLEAN NOT NULL,
  "waitForAnswer" BOOLEAN, "isError" BOOLEAN, "metadata" TEXT, "tags" TEXT, "input" TEXT, "output" TEXT, "createdAt" TEXT,
  "command" TEXT, "start" TEXT, "end" TEXT, "generation" TEXT, "showInput" TEXT, "language" TEXT, "indent" INTEGER,
  "defaultOpen" BOOLEAN, "autoCollapse" BOOLEAN, "modes" TEXT, "icon" TEXT
);
CREATE TABLE IF NOT EXISTS elements (
  "id" TEXT PRIMARY KEY, "threadId" TEXT REFERENCES threads("id") ON DELETE CASCADE, "type" TEXT, "url" TEXT,
  "chainlitKey" TEXT, "path" TEXT, "name" TEXT NOT NULL, "display" TEXT, "objectKey" TEXT, "size" TEXT, "page" INTEGER,
  "language" TEXT, "forId" TEXT, "mime" TEXT, "props" TEXT, "autoPlay" BOOLEAN, "playerConfig" TEXT
);
CREATE TABLE IF NOT EXISTS feedbacks (
  "id" TEXT PRIMARY KEY, "forId" TEXT NOT NULL, "threadId" TEXT, "value" INTEGER NOT NULL, "comment" TEXT
);
CREATE INDEX IF NOT EXISTS steps_of_thread ON steps("threadId");
CREATE INDEX IF NOT EXISTS elements_by_key ON elements("objectKey");
"""


class ElementFolder(BaseStorageClient):
    """Blobs of elements in a folder, each with its MIME type: a chart has to come back as JSON, or it stays blank."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def upload_file(
        self,
        object_key: str,
        data: bytes | str,
        mime: str = "application/octet-stream",
        overwrite: bool = True,  # noqa: ARG002 - Chainlit's signature
        content_disposition: str | None = None,  # noqa: ARG002 - as above
    ) -> dict[str, Any]:
        """Keep the blob; the answer says where it is read."""
        blob = self._place(object_key)
        blob.write_bytes(data.encode() if isinstance(data, str) else data)
        blob.with_suffix(".json").write_text(json.dumps({"mime": mime}), "utf-8")
        return {"object_key": object_key, "url": f"{ELEMENTS}/{object_key}"}

    async def delete_file(self, object_key: str) -> bool:
        """Forget the blob; whether there was one."""
        blob = self._place(object_key)
        known = blob.exists()
        blob.unlink(missing_ok=True)
        blob.with_suffix(".json").unlink(missing_ok=True)
        return known

    async def get_read_url(self, object_key: str) -> str:
        """Where the chat serves it, to whom the thread belongs."""
        return f"{ELEMENTS}/{object_key}"

    async def close(self) -> None:
        """Nothing is held open."""

    def read(self, object_key: str) -> tuple[bytes, str] | None:
        """The blob and its MIME type; None if there is none."""
        blob = self._place(object_key)
        if not blob.exists():
            return None
        return blob.read_bytes(), json.loads(blob.with_suffix(".json").read_text("utf-8"))["mime"]

    def _place(self, object_key: str) -> Path:
        # keys hold names of elements: hashed, so that none of them is a path
        return self._folder / f"{sha256(object_key.encode()).hexdigest()}.blob"


class ThreadStore(SQLAlchemyDataLayer):
    """Chainlit's store, for SQLite: there a card's props come back as text, and the card would have none."""

    async def get_all_user_threads(self, user_id: str | None = None, thread_id: str | None = None) -> list[ThreadDict] | None:
        """The user's threads, or that one, with each card's props."""
        threads = await super().get_all_user_threads(user_id, thread_id)
        for thread in threads or ():
            for element in thread.get("elements") or ():
                props: Any = element.get("props")
                if isinstance(props, str):
                    element["props"] = json.loads(props)
        return threads


def thread_store(folder: Path) -> ThreadStore:
    """The data layer over SQLite in that folder, its tables made."""
    path = folder / "threads.sqlite"
    # Chainlit hands over a thread's tags as a list, which SQLite knows nothing of
    sqlite3.register_adapter(list, json.dumps)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(_TABLES)
    connection.close()
    return ThreadStore(f"sqlite+aiosqlite:///{path}", storage_provider=ElementFolder(folder / "elements"))


async def owner_of_element(store: SQLAlchemyDataLayer, object_key: str) -> str | None:
    """Name of whose thread the element is in. By thread, because a key may begin with `unknown` instead of its owner's id."""
    found = await store.execute_sql(
        'SELECT t."userIdentifier" AS owner FROM elements e JOIN threads t ON t."id" = e."threadId" WHERE e."objectKey" = :key',
        {"key": object_key},
    )
    return found[0]["owner"] if isinstance(found, list) and found else None


class Histories:
    """What the agent remembers of each thread, in a file a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, thread: str) -> bytes | None:
        """The saved history; None if there is none."""
        place = self._place(thread)
        return place.read_bytes() if place.exists() else None

    def write(self, thread: str, history: bytes) -> None:
        """Replace the history whole, so that a crash leaves the old one."""
        place = self._place(thread)
        unfinished = place.with_suffix(".new")
        unfinished.write_bytes(history)
        unfinished.replace(place)

    def _place(self, thread: str) -> Path:
        return self._folder / f"{sha256(thread.encode()).hexdigest()}.json"
