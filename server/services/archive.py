"""The file of a backup: an uncompressed tar archive whose first member says what the others are."""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import ValidationError

from server.domain.telemetry import Frozen
from server.errors import ArtifactDamaged, InvalidInput

_MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 64 << 20
_PIECE = 1 << 20


class Member(Frozen):
    """One file of a backup."""

    name: str
    size: int
    sha256: str


class Manifest(Frozen):
    """What a backup holds."""

    format: Literal[1] = 1
    made: datetime
    members: tuple[Member, ...]
    left_out: tuple[str, ...] = ()
    """Artifacts whose bytes were damaged already."""

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self.members)


def write(path: Path, found: Mapping[str, Path], made: datetime, left_out: Sequence[str]) -> Manifest:
    """Write a new archive of these files by name, for its owner only; it is on disk when this returns."""
    members = tuple(Member(name=name, size=each.stat().st_size, sha256=_sum(each)) for name, each in found.items())
    manifest = Manifest(made=made, members=members, left_out=tuple(left_out))
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as whole:
        with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as tar:
            told = manifest.model_dump_json(indent=1).encode()
            _add(tar, _MANIFEST, len(told), io.BytesIO(told))
            for member in members:
                with found[member.name].open("rb") as file:
                    _add(tar, member.name, member.size, file)
        whole.flush()
        os.fsync(whole.fileno())
    return manifest


def opened(file: Path) -> tarfile.TarFile:
    """The archive, to be closed. Raises `InvalidInput` if it is absent or none."""
    try:
        return tarfile.open(file, mode="r:")
    except (OSError, tarfile.TarError) as error:
        raise InvalidInput(f"{file} is no backup that can be read: {error}. Name one that `anomalyst backup` wrote.") from error


def manifest(tar: tarfile.TarFile, file: Path) -> Manifest:
    """Its first member, read. Raises `InvalidInput` if that is no manifest, `ArtifactDamaged` if it cannot be read."""
    first = tar.next()
    if first is None or first.name != _MANIFEST or first.size > _LARGEST_MANIFEST:
        raise InvalidInput(f"{file} is no backup: it begins with no manifest. Name one that `anomalyst backup` wrote.")
    try:
        return Manifest.model_validate_json(b"".join(_pieces(tar, first)))
    except (ValidationError, tarfile.TarError) as error:
        raise damaged(file, _MANIFEST, "it cannot be read") from error


def entries(tar: tarfile.TarFile, file: Path) -> Iterator[tarfile.TarInfo]:
    """The members after the manifest. Raises `ArtifactDamaged` where the archive cannot be followed."""
    try:
        yield from (entry for entry in tar if entry.name != _MANIFEST)
    except tarfile.TarError as error:
        raise damaged(file, "the archive", str(error)) from error


def digest(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    """The sha256, in hex, of what there is of a member."""
    found = hashlib.sha256()
    with suppress(tarfile.ReadError):  # cut off: then these are not its bytes
        for piece in _pieces(tar, entry):
            found.update(piece)
    return found.hexdigest()


def pour(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path, checksum: str) -> bool:
    """Write a member as a file that is whole and on disk when this returns; False, and no file, if its sha256 is another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    found = hashlib.sha256()
    try:
        with partial.open("wb") as file:
            with suppress(tarfile.ReadError):  # cut off: then these are not its bytes
                for piece in _pieces(tar, entry):
                    found.update(piece)
                    file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if found.hexdigest() != checksum:
            return False
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return True


def sync(folder: Path) -> None:
    """Put the folder's entries on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damaged(file: Path, member: str, why: str) -> ArtifactDamaged:
    """The refusal of a backup, naming the member."""
    return ArtifactDamaged(f"{file.name}: {member}", why, advice="No store was replaced. Restore from another backup.")


def _add(tar: tarfile.TarFile, name: str, size: int, file: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    tar.addfile(entry, file)


def _pieces(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(entry)
    if file is not None:
        with file:
            while piece := file.read(_PIECE):
                yield piece


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
