"""Back up and restore: records, telemetry and artifacts in one file, every byte of it checked before anything is replaced.

The records are copied first. What they name was stored before they named it, and neither artifacts nor telemetry rows are ever
rewritten; so whatever happens meanwhile, the file holds all that its records speak of. The memory of decisions is not in it:
it is made anew from the records.
"""

import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from server.errors import ArtifactDamaged, InvalidInput, Unavailable
from server.services import archive
from server.services.archive import Manifest
from server.storage.base import ArtifactStore, Records, TelemetryStore

RECORDS, TELEMETRY = "records.sqlite", "telemetry.duckdb"
_OTHER_BYTES = "its bytes are not those that were backed up"
_ARTIFACT = re.compile(r"artifacts/([a-z0-9][a-z0-9-]{0,63})/([a-z][a-z0-9_]{0,63}-[0-9a-f]{64}(?:\.[a-z0-9]{1,16}){1,3})")


@dataclass(frozen=True, slots=True)
class Places:
    """Where a restore puts things. `records` is None where they are on a database server."""

    records: Path | None
    telemetry: Path
    memory: Path
    artifacts: Path


def back_up(records: Records, telemetry: TelemetryStore, artifacts: ArtifactStore, file: Path, now: datetime) -> Manifest:
    """Write everything to a new `file`, readable by its owner only; it is whole and on disk when this returns, or absent.

    Raises:
        InvalidInput: the file is there already, or its folder is not.
        Unavailable: a store cannot be read, or the disk is full.
    """
    if file.exists() or not file.absolute().parent.is_dir():
        raise InvalidInput(f"{file} {'is there already' if file.exists() else 'has no folder'}. Name a new file in a folder.")
    try:
        with TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as folder:
            whole, own = Path(folder) / "whole", Path(folder) / RECORDS
            copied = records.copy_to(own)
            with telemetry.copied() as rows:
                found, damaged = _verified(artifacts)
                stores = {RECORDS: own, TELEMETRY: rows} if copied else {TELEMETRY: rows}
                manifest = archive.write(whole, {**stores, **found}, now, damaged)
            whole.replace(file)
            archive.sync(file.absolute().parent)
    except OSError as error:
        raise Unavailable(f"the backup cannot be written: {error.strerror}. Nothing was changed; free some space.") from error
    return manifest


def verify(file: Path) -> Manifest:
    """What the backup holds, once every byte of it has been compared with its checksum.

    Raises:
        InvalidInput: the file is absent or no backup.
        ArtifactDamaged: a member is missing, cut off, unknown or not what its checksum says; it is named.
    """
    with archive.opened(file) as tar:
        manifest = archive.manifest(tar, file)
        for entry, checksum in _members(tar, manifest, file):
            if archive.digest(tar, entry) != checksum:
                raise archive.damaged(file, entry.name, _OTHER_BYTES)
    return manifest


def restore(file: Path, places: Places, aside: Path, *, force: bool) -> Manifest:
    """Put what the backup holds in place, after all of it was verified. Nobody may have the stores open meanwhile.

    With `force`, stores that are there are moved into the folder `aside`, whole. Artifacts are only added: a name says which
    bytes it has.

    Raises:
        InvalidInput: no backup; records that belong on a database server, or the other way round; or stores are there
            already, and not `force`.
        ArtifactDamaged: as `verify` does; no store was replaced. Artifacts that were whole may have been added.
        Unavailable: the disk is full.
    """
    manifest = verify(file)
    has_records = any(member.name == RECORDS for member in manifest.members)
    if has_records and places.records is None:
        raise InvalidInput("this backup has its records in a file, not for a database server. Unset ANOMALYST_STORE__URL.")
    if not has_records and places.records is not None:
        raise InvalidInput("this backup is without records: theirs was a database server. Name it in ANOMALYST_STORE__URL.")
    there = [path for path in _replaced(places) if path.exists()]
    if there and not force:
        raise InvalidInput(f"there are stores already: {there[0]}. Name an empty --home, or --force to move them aside.")
    try:
        _put_in_place(file, manifest, places, there, aside)
    except OSError as error:
        raise Unavailable(f"the backup could not be put in place: {error.strerror}. Mend that, then restore again.") from error
    return manifest


def _verified(artifacts: ArtifactStore) -> tuple[dict[str, Path], list[str]]:
    """The artifacts by member name, and those whose bytes were damaged already: one of them must not prevent every backup."""
    found: dict[str, Path] = {}
    damaged: list[str] = []
    for run, name in artifacts.names():
        try:
            found[f"artifacts/{run}/{name}"] = artifacts.open(run, name)
        except ArtifactDamaged:
            damaged.append(f"{run}/{name}")
    return found, damaged


def _members(tar: tarfile.TarFile, manifest: Manifest, file: Path) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """The archive's members, each with its checksum. Raises `ArtifactDamaged` for one that is unknown, and at the end for one
    that is missing."""
    awaited = {member.name: member.sha256 for member in manifest.members}
    for entry in archive.entries(tar, file):
        checksum = awaited.pop(entry.name, None)
        if checksum is None or not entry.isfile() or not _known(entry.name):
            raise archive.damaged(file, entry.name, "it is not one of those that were backed up")
        yield entry, checksum
    if awaited:
        raise archive.damaged(file, next(iter(awaited)), "it is missing")


def _put_in_place(file: Path, manifest: Manifest, places: Places, there: list[Path], aside: Path) -> None:
    """Checks every member once more as it is written: whoever can write the file may have done so since it was verified."""
    places.telemetry.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=places.telemetry.parent, prefix=".restore-") as folder, archive.opened(file) as tar:
        fresh = Path(folder)
        for entry, checksum in _members(tar, manifest, file):
            found = _ARTIFACT.fullmatch(entry.name)
            place = places.artifacts / found[1] / found[2] if found else fresh / entry.name
            if not archive.pour(tar, entry, place, checksum):
                raise archive.damaged(file, entry.name, _OTHER_BYTES)
        for path in there:
            aside.mkdir(parents=True, exist_ok=True)
            shutil.move(path, aside / path.name)
        (fresh / TELEMETRY).replace(places.telemetry)
        if places.records is not None:
            places.records.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(fresh / RECORDS, places.records)
        archive.sync(places.telemetry.parent)


def _replaced(places: Places) -> Iterator[Path]:
    """The stores, with the logs that stand beside them."""
    yield places.telemetry
    yield places.telemetry.with_name(f"{places.telemetry.name}.wal")
    if places.records is not None:
        yield from (places.records.with_name(f"{places.records.name}{suffix}") for suffix in ("", "-wal", "-shm"))
    yield places.memory


def _known(name: str) -> bool:
    return name in (RECORDS, TELEMETRY) or _ARTIFACT.fullmatch(name) is not None
