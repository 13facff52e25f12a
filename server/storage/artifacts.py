"""Artifacts as files `<root>/<run>/<stage>-<sha256><suffix>`: durable when `write` returns, checked when they are opened."""

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from server.errors import ArtifactDamaged, InvalidInput, NotFound, Unavailable

_RUN = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_STAGE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,16}){1,3}")
_NAME = re.compile(rf"(?P<stage>{_STAGE.pattern})-(?P<digest>[0-9a-f]{{64}})(?P<suffix>{_SUFFIX.pattern})")
_PARTIAL = re.compile(r".+\.partial-((?P<host>[A-Za-z0-9._]{1,253})-)?(?P<pid>[0-9]{1,10})")
_LIST = ".parts"
"""Suffix of an artifact that is a JSON list of the artifacts beside it which make it up."""

_ABANDONED_NS = 86_400_000_000_000
"""After so long, what another host has not finished writing counts as left by a writer that was killed."""

_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
_STARTED_NS = time.time_ns()
_CLOCK_TICK_NS = 100_000_000
"""Two writes within a tick of the file system's clock leave the same time stamp, so a younger file is hashed again."""
_LARGE = 128 * 1024 * 1024
"""Of a file this large the hash takes no less than waiting until it is older than a tick, so that it is not taken twice."""


class ArtifactFolder:
    """An `ArtifactStore` below one folder. Several processes may use it at once, and several hosts where it is `shared`."""

    def __init__(self, root: Path, *, shared: bool = False) -> None:
        self._root, self._shared = root, shared
        self._verified: dict[Path, tuple[int, ...]] = {}
        self._swept = False

    def write(self, run: str, stage: str, suffix: str, writer: Callable[[Path], object]) -> str:
        """Let `writer` fill a new file, then put it in place under the name `<stage>-<sha256><suffix>`, which is returned.

        The file and its folder are on disk when this returns; if anything fails before, nothing is visible.

        Raises:
            InvalidInput: the run, stage or suffix cannot stand in a file name.
            Unavailable: the disk is full or cannot be written.
        """
        for kind, text, pattern in (("run", run, _RUN), ("stage", stage, _STAGE), ("suffix", suffix, _SUFFIX)):
            _require(kind, text, pattern)
        folder = self._root / run
        with _disk_errors_named(folder):
            self._make(folder)
            self._sweep_for(folder)
            path, state = _write_durably(folder, (stage, suffix), writer, f"{_host()}-" if self._shared else "")
        self._verified.pop(path, None)
        if state is not None:
            self._verified[path] = state
        return path.name

    def open(self, run: str, name: str) -> Path:
        """Path of an artifact whose bytes are those that its name says; checked once for each state of the file.

        A list is as good as the artifacts that it names, so those are checked with it.

        Raises:
            InvalidInput: the run or the name is not one that `write` returns.
            NotFound: there is no such artifact; near names of the same run are offered.
            ArtifactDamaged: the bytes are not those that were written.
        """
        _require("run", run, _RUN)
        named = _require("artifact", name, _NAME)
        path = self._root / run / name
        state = _state(path, named["stage"])
        if state is None:
            raise NotFound("artifact", name, self._names(run))
        if self._verified.get(path) != state:
            self._verified.pop(path, None)
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != named["digest"]:
                raise ArtifactDamaged(f"{run}/{name}", f"its bytes hash to {found[:12]}…", named["stage"])
            if state == _state(path, named["stage"]) and time.time_ns() - state[-1] > _CLOCK_TICK_NS:
                self._verified[path] = state
        if named["suffix"] == _LIST:
            for part in json.loads(path.read_text()):
                self.open(run, part)
        return path

    def names(self) -> Iterator[tuple[str, str]]:
        """Run and name of every artifact that there is, in order."""
        runs = sorted(folder.name for folder in self._root.iterdir() if folder.is_dir()) if self._root.is_dir() else []
        for run in filter(_RUN.fullmatch, runs):
            yield from ((run, name) for name in self._names(run))

    def digest(self, name: str) -> str:
        """The sha256, in hex, in an artifact's name. Raises `InvalidInput` for any other text."""
        return _require("artifact", name, _NAME)["digest"]

    def size(self, run: str) -> int:
        """Bytes of all files of a run; 0 if it has none."""
        folder = self._root / _require("run", run, _RUN).string
        return sum(path.lstat().st_size for path in folder.iterdir()) if folder.is_dir() else 0

    def remove(self, run: str) -> None:
        """Remove all files of a run. One without any changes nothing. Raises `Unavailable` if the disk refuses."""
        folder = self._root / _require("run", run, _RUN).string
        if folder.is_dir() and not folder.is_symlink():
            with _disk_errors_named(folder):
                shutil.rmtree(folder)
                _sync_folder(self._root)
            self._verified = {path: state for path, state in self._verified.items() if path.parent != folder}

    def sweep(self) -> int:
        """Remove what killed writers left in any run's folder; returns how many files that were."""
        return sum(_sweep(folder) for folder in self._root.iterdir() if folder.is_dir()) if self._root.is_dir() else 0

    def _sweep_for(self, folder: Path) -> None:
        if self._swept:
            _sweep(folder)
        else:
            self.sweep()
            self._swept = True

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._root)

    def _names(self, run: str) -> list[str]:
        folder = self._root / run
        return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)) if folder.is_dir() else []


def _require(kind: str, text: str, pattern: re.Pattern[str]) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{text[:100]!r} is no {kind} name. Use one that the run's records hold.")
    return match


def _host() -> str:
    """This host's name in the signs that a partial file's name may have."""
    return re.sub(r"[^A-Za-z0-9._]", "_", socket.gethostname())


def _write_durably(
    folder: Path, named: tuple[str, str], writer: Callable[[Path], object], host: str
) -> tuple[Path, tuple[int, ...] | None]:
    """The new file, and its state if the bytes that were hashed are certain to be those that it has in that state."""
    stage, suffix = named
    partial = folder / f"{stage}-{uuid4().hex}.partial-{host}{os.getpid()}"
    try:
        writer(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
            before = os.fstat(file.fileno())
            if before.st_size > _LARGE:
                time.sleep(max(0, before.st_mtime_ns + _CLOCK_TICK_NS + 1 - time.time_ns()) / 1e9)
            begun = time.time_ns()
            path = folder / f"{stage}-{hashlib.file_digest(file, 'sha256').hexdigest()}{suffix}"
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(folder)
    state = _state(path, stage)
    # the name is as new as can be, but a change of the bytes since they were hashed shows in an mtime that is older than a tick
    hashed = (before.st_size, before.st_mtime_ns, before.st_ino)
    settled = begun - before.st_mtime_ns > _CLOCK_TICK_NS
    return path, state if state is not None and state[:3] == hashed and settled else None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _state(path: Path, stage: str) -> tuple[int, ...] | None:
    """What changes with any change of the file; the time of the last change comes last. None if there is no such file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise ArtifactDamaged(f"{path.parent.name}/{path.name}", "it is not a regular file", stage)
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def _sweep(folder: Path) -> int:
    left = [path for path in folder.iterdir() if _is_left_over(path)]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def _is_left_over(path: Path) -> bool:
    match = _PARTIAL.fullmatch(path.name)
    if match is None:
        return False
    pid = int(match["pid"])
    if match["host"] and match["host"] != _host():  # whether that process lives cannot be seen from here
        return _older(path, time.time_ns() - _ABANDONED_NS)
    if pid == os.getpid():  # in a container the writer that was killed had the same pid as this process
        return _older(path, _STARTED_NS)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _older(path: Path, moment: int) -> bool:
    """Whether the file was last written before the moment; False if it is gone."""
    with suppress(FileNotFoundError):
        return path.stat().st_mtime_ns < moment
    return False


@contextmanager
def _disk_errors_named(folder: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise Unavailable(
            f"cannot write below {folder.name}: {os.strerror(error.errno)}. Free some space, then call again; "
            "what was stored before still is."
        ) from error
