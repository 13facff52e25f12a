"""One Qdrant: a folder of this process, or a server. All calls to it go through `Connection.ask`."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import RLock
from typing import TypeVar

from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from server.errors import StoreBusy, Unavailable

_TIMEOUT_SECONDS = 10
Answer = TypeVar("Answer")


class Connection:
    """A client of the folder or of the server at `location`.

    Raises:
        StoreBusy: another process has the folder open.
        Unavailable: the folder cannot be made or read.
    """

    def __init__(self, location: Path | str, *, api_key: str | None = None) -> None:
        self.embedded = isinstance(location, Path)
        self._location = location
        # a folder's client loses points when two threads use it; a server's is made for threads
        self._turn = RLock() if self.embedded else nullcontext()
        self._client = _open_folder(location) if isinstance(location, Path) else _client_of(location, api_key)

    def ask(self, question: Callable[[QdrantClient], Answer]) -> Answer:
        """What the client answers. Raises `Unavailable` when it does not."""
        try:
            with self._turn:
                return question(self._client)
        except (ResponseHandlingException, UnexpectedResponse, ResourceExhaustedResponse) as error:
            raise Unavailable(
                f"the decision memory at {self._location} did not answer as it should: {_in_a_line(error)}. "
                "Check that Qdrant runs there and that the API key is right, then try again."
            ) from error
        except OSError as error:
            raise Unavailable(f"the decision memory in {self._location} cannot be read or written: {error}.") from error

    def close(self) -> None:
        """Release the folder, after any call under way."""
        with self._turn:
            self._client.close()


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _open_folder(folder: Path) -> QdrantClient:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return QdrantClient(path=str(folder))
    except RuntimeError as error:
        raise StoreBusy(
            f"another process has the decision memory in {folder} open. Stop it, ask it, or use a Qdrant server (memory.url)."
        ) from error
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"the decision memory in {folder} cannot be opened: {error}. If it is damaged, delete the folder and rebuild it."
        ) from error


def _client_of(url: str, api_key: str | None) -> QdrantClient:
    # the check would ask the server from a thread of its own and warn; the first call says the same as an error
    return QdrantClient(url=url, api_key=api_key, timeout=_TIMEOUT_SECONDS, check_compatibility=False)
