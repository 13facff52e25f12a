"""The `uploads` connector: a telemetry file that somebody sent to the server, opened by the name it was given there.

A file stays until a run has ingested it, or until nobody has opened it for a while; how many may wait is bounded by tenant.
"""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.connectors.files import FilesConnector, FileSource
from server.errors import InvalidInput, NotFound, Unavailable

_NAME = re.compile(r"u-([0-9a-f]{16})[0-9a-f]{32}")
_KINDS = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait to be ingested, for each tenant, and for how long."""

    files: int = 20
    bytes: int = 1 << 30
    rows: int = 50_000_000
    age: timedelta = timedelta(hours=24)


class UploadsConnector:
    """Opens an uploaded file by a name that only its uploader was told: with it the file may be read. Options as `files`."""

    name = "uploads"
    opens_paths = False

    def __init__(self, home: Path, bounds: Bounds | None = None) -> None:
        self._folder, self._bounds = home / "uploads", bounds or Bounds()

    def open(self, location: str, options: Mapping[str, str]) -> FileSource:
        """The source of that name, which may then wait as long again.

        Raises:
            NotFound: nothing was uploaded under it, or it is gone.
            InvalidInput: the file cannot be read, or its columns cannot be told apart.
        """
        own = self._folder / location
        found = sorted(own.iterdir()) if _NAME.fullmatch(location) and own.is_dir() else []
        if not found:
            raise NotFound(
                "upload", location[:80], advice=f"Files go when they are ingested, or after {self._age}. Send it again."
            )
        with suppress(OSError):  # a disk that is full reads all the same
            os.utime(found[0])
        return FilesConnector([own]).open(str(found[0]), options)

    def check_rows(self, rows: int | None) -> None:
        """Return if a file may have so many rows. Raises `InvalidInput` naming the bound otherwise."""
        if rows is not None and rows > self._bounds.rows:
            raise InvalidInput(f"{rows:,} rows are more than the {self._bounds.rows:,} of one upload. Send it in parts.")

    def place(self, tenant: str, file: str, now: datetime) -> tuple[str, Path]:
        """A new name, and where a file that its owner calls `file` is to be written.

        Raises:
            InvalidInput: it is no kind of file that telemetry is taken from.
            Unavailable: the disk is full, or as many of the tenant's files as may be wait to be ingested.
        """
        stem, kind = Path(file).stem, Path(file).suffix.lower()
        if kind not in _KINDS:
            raise InvalidInput(f"{file[:80]!r}: files of this kind are not taken. Send one of {', '.join(_KINDS)}.")
        self.expire(now)
        location = f"u-{_key(tenant)}{secrets.token_hex(16)}"
        own = self._folder / location
        try:
            own.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise Unavailable(f"the file cannot be kept: {error.strerror}. Free some space, then send it again.") from error
        try:
            self.check_room(tenant)
        except Unavailable:
            self.let_go(location)
            raise
        return location, own / f"{re.sub(r'[^A-Za-z0-9_-]', '-', stem)[:80] or 'telemetry'}{kind}"

    def check_room(self, tenant: str) -> None:
        """Return if what waits of the tenant's is within the bounds. Raises `Unavailable` saying what to do otherwise."""
        sizes = [_size(own) for own in self._waiting(tenant)]
        if len(sizes) > self._bounds.files or sum(sizes) > self._bounds.bytes:
            raise Unavailable(
                f"more than {self._bounds.files} files or {self._bounds.bytes >> 20:,} MiB would wait to be ingested. Ingest "
                f"or remove some (DELETE /api/v1/uploads/LOCATION), or wait: they go {self._age} after their last use."
            )

    def let_go(self, location: str) -> None:
        """Remove what was uploaded under that name, if it is there."""
        if _NAME.fullmatch(location):
            shutil.rmtree(self._folder / location, ignore_errors=True)

    def expire(self, now: datetime, tenant: str | None = None, *, dry_run: bool = False) -> tuple[int, int]:
        """How many files, and bytes, nobody has opened for too long; they are removed, unless it is only to be told."""
        old = [own for own in self._waiting(tenant) if now - _used(own, now) > self._bounds.age]
        sizes = [_size(own) for own in old]
        for own in old if not dry_run else ():
            shutil.rmtree(own, ignore_errors=True)
        return len(old), sum(sizes)

    def _waiting(self, tenant: str | None) -> Iterator[Path]:
        """Folders of uploads, of one tenant or all."""
        if self._folder.is_dir():
            for own in sorted(self._folder.iterdir()):
                if own.name.startswith("u-" if tenant is None else f"u-{_key(tenant)}"):
                    yield own

    @property
    def _age(self) -> str:
        return f"{self._bounds.age / timedelta(hours=1):g} hours"


def require_own(location: str, tenant: str) -> None:
    """Return if the name was given to somebody of the tenant. Raises `NotFound` otherwise, as if there were no such file."""
    found = _NAME.fullmatch(location)
    if found is None or found[1] != _key(tenant):
        raise NotFound("upload", location[:80])


def _key(tenant: str) -> str:
    return hashlib.sha256(tenant.encode()).hexdigest()[:16]


def _size(own: Path) -> int:
    return sum(_stat(path)[0] for path in _within(own))


def _used(own: Path, now: datetime) -> datetime:
    """When it was last written or opened."""
    moments = [_stat(path)[1] for path in [own, *_within(own)]]
    return datetime.fromtimestamp(max(moments), UTC) if max(moments) else now


def _within(own: Path) -> list[Path]:
    with suppress(OSError):  # another call removes it at this moment
        return list(own.iterdir())
    return []


def _stat(path: Path) -> tuple[int, float]:
    with suppress(OSError):  # as above
        found = path.stat()
        return found.st_size, found.st_mtime
    return 0, 0.0
