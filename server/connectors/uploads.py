"""The `uploads` connector: a telemetry file that somebody sent to the server, opened by the name it was given there."""

import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from server.connectors.files import FilesConnector, FileSource
from server.errors import InvalidInput, NotFound, Unavailable

_NAME = re.compile(r"u-[0-9a-f]{32}")
_KINDS = (".csv", ".tsv", ".parquet")


class UploadsConnector:
    """Opens an uploaded file by a name that only its uploader was told: with it the file may be read. Options as `files`."""

    name = "uploads"

    def __init__(self, home: Path) -> None:
        self._folder = home / "uploads"

    def open(self, location: str, options: Mapping[str, str]) -> FileSource:
        """The source of that name.

        Raises:
            NotFound: nothing was uploaded under it.
            InvalidInput: the file cannot be read, or its columns cannot be told apart.
        """
        own = self._folder / location
        found = sorted(own.iterdir()) if _NAME.fullmatch(location) and own.is_dir() else []
        if not found:
            raise NotFound("upload", location[:80])
        return FilesConnector([own]).open(str(found[0]), options)

    def place(self, file: str) -> tuple[str, Path]:
        """A new name, and where a file that its owner calls `file` is to be written.

        Raises:
            InvalidInput: it is no kind of file that telemetry is taken from.
            Unavailable: the disk is full.
        """
        stem, kind = Path(file).stem, Path(file).suffix.lower()
        if kind not in _KINDS:
            raise InvalidInput(f"{file[:80]!r}: files of this kind are not taken. Send one of {', '.join(_KINDS)}.")
        location = f"u-{secrets.token_hex(16)}"
        own = self._folder / location
        try:
            own.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise Unavailable(f"the file cannot be kept: {error.strerror}. Free some space, then send it again.") from error
        return location, own / f"{re.sub(r'[^A-Za-z0-9_-]', '-', stem)[:80] or 'telemetry'}{kind}"

    def forget(self, location: str) -> None:
        """Remove what was uploaded under that name."""
        if _NAME.fullmatch(location):
            shutil.rmtree(self._folder / location, ignore_errors=True)
