"""What `ArtifactFolder` promises: durable whole files, and no damaged one ever opened."""

import errno
import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.errors import ArtifactDamaged, InvalidInput, NotFound, Unavailable
from server.pipeline.parts import files_of, write_parts
from server.storage import artifacts
from server.storage.artifacts import ArtifactFolder
from server.storage.base import ArtifactStore

CONTENT = bytes(range(256)) * 40


def _fill(content: bytes = CONTENT):
    return lambda path: path.write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(tmp_path / "artifacts")


def test_an_artifact_comes_back_as_written_under_the_digest_of_its_bytes(folder: ArtifactFolder) -> None:
    """A name holds the sha256 of the bytes, so equal bytes have one name."""
    store: ArtifactStore = folder
    name = store.write("run-1", "score_telemetry", ".parquet", _fill())
    assert name == f"score_telemetry-{hashlib.sha256(CONTENT).hexdigest()}.parquet"
    assert store.open("run-1", name).read_bytes() == CONTENT
    assert store.digest(name) == hashlib.sha256(CONTENT).hexdigest()
    assert store.write("run-1", "score_telemetry", ".parquet", _fill()) == name


def test_every_damage_is_refused_by_name(folder: ArtifactFolder) -> None:
    """P5: 400 bit flips, truncations, extensions and swaps; each refused with the artifact and the stage to run again."""
    chance = random.Random(5)
    name = folder.write("run-1", "train_detector", ".json", _fill())
    other = folder.open("run-1", folder.write("run-1", "train_detector", ".json", _fill(CONTENT[::-1]))).read_bytes()
    path = folder.open("run-1", name)
    for _ in range(400):
        damaged = bytearray(CONTENT)
        kind = chance.choice(["flip", "flip", "cut", "grow", "swap"])
        if kind == "flip":
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        elif kind == "cut":
            del damaged[chance.randrange(len(damaged)) :]
        elif kind == "grow":
            damaged += b"\0" * chance.randrange(1, 99)
        else:
            damaged[:] = other
        path.write_bytes(damaged)
        with pytest.raises(ArtifactDamaged, match=f"{name}.*train_detector again"):
            folder.open("run-1", name)
    path.write_bytes(CONTENT)
    assert folder.open("run-1", name) == path


def test_damage_is_caught_after_an_earlier_good_open_and_with_the_old_time_stamp(folder: ArtifactFolder) -> None:
    """The check is skipped only while nothing about the file has changed, whatever its modification time is set to."""
    path = folder.open("run-1", name := folder.write("run-1", "a", ".json", _fill()))
    time.sleep(0.15)
    folder.open("run-1", name)
    before = path.stat()
    path.write_bytes(CONTENT[:-1] + b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ArtifactDamaged):
        folder.open("run-1", name)


def test_a_second_open_reads_nothing(folder: ArtifactFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unchanged file is hashed once in a process."""
    name = folder.write("run-1", "a", ".json", _fill())
    time.sleep(0.15)
    folder.open("run-1", name)
    monkeypatch.delattr(hashlib, "file_digest")
    folder.open("run-1", name)


def test_a_large_file_is_not_hashed_again_when_it_is_opened(folder: ArtifactFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hash was taken when its last change was older than a tick, so any change since then shows."""
    monkeypatch.setattr(artifacts, "_LARGE", len(CONTENT) - 1)
    name = folder.write("run-1", "a", ".json", _fill())
    damaged = folder.write("run-1", "b", ".json", _fill())
    folder.open("run-1", damaged).write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(ArtifactDamaged):
        folder.open("run-1", damaged)
    monkeypatch.delattr(hashlib, "file_digest")
    assert folder.open("run-1", name).read_bytes() == CONTENT


def test_a_file_written_within_a_tick_of_its_hash_is_hashed_again(
    folder: ArtifactFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change within the same tick would leave the same time stamp."""
    monkeypatch.setattr(artifacts, "_CLOCK_TICK_NS", 3_600_000_000_000)
    name = folder.write("run-1", "a", ".json", _fill())
    monkeypatch.delattr(hashlib, "file_digest")
    with pytest.raises(AttributeError, match="file_digest"):
        folder.open("run-1", name)


def test_writing_again_mends_a_damaged_artifact(folder: ArtifactFolder) -> None:
    """Rerunning the stage is the recovery that the refusal names."""
    name = folder.write("run-1", "a", ".json", _fill())
    folder.open("run-1", name).write_bytes(b"")
    assert folder.write("run-1", "a", ".json", _fill()) == name
    assert folder.open("run-1", name).read_bytes() == CONTENT


@pytest.mark.parametrize("run", ["", "..", "a/b", "/etc", "A", "a\n", "-a", "a" * 65, "a\0"])
def test_a_run_that_is_no_run_id_is_refused(folder: ArtifactFolder, run: str) -> None:
    """A run id cannot lead out of the folder."""
    with pytest.raises(InvalidInput):
        folder.write(run, "a", ".json", _fill())
    with pytest.raises(InvalidInput):
        folder.open(run, f"a-{'0' * 64}.json")


@pytest.mark.parametrize(
    "name", ["", "../x", f"../a-{'0' * 64}.json", f"a-{'0' * 63}.json", f"a-{'0' * 64}.json\n", f"a-{'0' * 64}"]
)
def test_a_name_that_no_write_returned_is_refused(folder: ArtifactFolder, name: str) -> None:
    """Neither can an artifact's name."""
    with pytest.raises(InvalidInput):
        folder.open("run-1", name)
    with pytest.raises(InvalidInput):
        folder.digest(name)


@pytest.mark.parametrize(("stage", "suffix"), [("../a", ".json"), ("a", "json"), ("a", "/x"), ("a", ".."), ("a-b", ".json")])
def test_a_stage_or_suffix_with_other_signs_is_refused(folder: ArtifactFolder, stage: str, suffix: str) -> None:
    """The parts of a name are letters, digits and underscores."""
    with pytest.raises(InvalidInput):
        folder.write("run-1", stage, suffix, _fill())


def test_a_symbolic_link_in_place_of_an_artifact_is_refused(folder: ArtifactFolder, tmp_path: Path) -> None:
    """A link is not what was written, even if the bytes behind it are right."""
    path = folder.open("run-1", name := folder.write("run-1", "a", ".json", _fill()))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactDamaged, match="regular"):
        folder.open("run-1", name)


def test_an_absent_artifact_is_not_found_and_near_names_are_offered(folder: ArtifactFolder) -> None:
    """An artifact belongs to its run; another run's is not found."""
    name = folder.write("run-1", "a", ".json", _fill())
    with pytest.raises(NotFound, match=name):
        folder.open("run-1", name.replace(".json", ".skops"))
    with pytest.raises(NotFound):
        folder.open("run-2", name)


def test_a_writer_that_fails_leaves_nothing(folder: ArtifactFolder, tmp_path: Path) -> None:
    """A stage is whole or absent; the writer's own error comes through."""

    def half(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyError("no such column")

    with pytest.raises(KeyError):
        folder.write("run-1", "a", ".json", half)
    assert list((tmp_path / "artifacts" / "run-1").iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from server.storage.artifacts import ArtifactFolder
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
def writer(path):
    path.write_bytes(b"x" * 1000)
    if sys.argv[2] == "writing": die()
if sys.argv[2] == "renaming": Path.replace = die
if sys.argv[2] == "syncing": os.fsync = lambda n: die() if os.path.isfile(f"/proc/self/fd/{n}") else None
ArtifactFolder(Path(sys.argv[1])).write("run-1", "a", ".json", writer)
"""


@pytest.mark.parametrize("when", ["writing", "syncing", "renaming"])
def test_a_writer_killed_before_the_rename_leaves_nothing_visible(folder: ArtifactFolder, tmp_path: Path, when: str) -> None:
    """P2: what a killed writer leaves is no artifact, and the next write sweeps it, in other runs' folders too."""
    root = tmp_path / "artifacts"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(root), when], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name.split(".")[-1].split("-")[0] for path in (root / "run-1").iterdir()] == ["partial"]
    with pytest.raises(NotFound):
        folder.open("run-1", f"a-{hashlib.sha256(b'x' * 1000).hexdigest()}.json")
    folder.write("run-2", "a", ".json", _fill())
    assert list((root / "run-1").iterdir()) == []


def test_a_living_writers_file_is_not_swept(folder: ArtifactFolder) -> None:
    """Sweeping takes only what no running process writes; an older file under this process's pid is a former process's."""

    def slow(path: Path) -> None:
        path.write_bytes(CONTENT)
        living = path.with_name(f"b-0.partial-{os.getppid()}")
        living.write_bytes(b"")
        former = path.with_name(f"c-0.partial-{os.getpid()}")
        former.write_bytes(b"")
        os.utime(former, (1, 1))
        assert folder.sweep() == 1
        assert living.exists()
        assert path.exists()

    folder.write("run-1", "a", ".json", slow)


def test_another_hosts_file_is_not_swept_before_a_day_has_passed(tmp_path: Path) -> None:
    """Where hosts share a folder, a process id says nothing of the other host's processes."""
    shared = ArtifactFolder(tmp_path / "artifacts", shared=True)
    name = shared.write("run-1", "a", ".json", _fill())
    other, old = (tmp_path / f"artifacts/run-1/{letter}-0.partial-other_host.example-1" for letter in "bc")
    other.write_bytes(b"")
    old.write_bytes(b"")
    os.utime(old, (1, 1))
    own = f"{re.sub('[^A-Za-z0-9._]', '_', socket.gethostname())}-{os.getpid()}"

    def slow(path: Path) -> None:
        path.write_bytes(CONTENT[:9])
        assert path.name.endswith(f".partial-{own}")
        assert shared.sweep() == 0

    second = shared.write("run-1", "a", ".json", slow)
    assert sorted(each.name for each in (tmp_path / "artifacts/run-1").iterdir()) == sorted([name, second, other.name])


def test_a_list_is_opened_only_with_all_its_parts(folder: ArtifactFolder) -> None:
    """A part that is damaged or gone is named, and so is the stage that makes it anew."""
    parts = [folder.write("run-1", "score_telemetry", ".parquet", _fill(content)) for content in (b"one", b"two")]
    name = folder.write("run-1", "score_telemetry", ".parts", lambda path: write_parts(path, parts))
    assert files_of(folder.open("run-1", name)) == tuple(folder.open("run-1", part) for part in parts)
    second = folder.open("run-1", parts[1])
    second.write_bytes(b"tow")
    with pytest.raises(ArtifactDamaged, match=rf"{parts[1]}.*Run score_telemetry again"):
        folder.open("run-1", name)
    second.unlink()
    with pytest.raises(NotFound, match=parts[1]):
        folder.open("run-1", name)


def test_a_full_disk_is_unavailable_and_earlier_artifacts_still_open(folder: ArtifactFolder) -> None:
    """P6 as the writer reports it; the same on a real full disk is tested with the records."""

    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "full")

    name = folder.write("run-1", "a", ".json", _fill())
    with pytest.raises(Unavailable, match="No space left"):
        folder.write("run-1", "b", ".json", full)
    assert [path.name for path in folder.open("run-1", name).parent.iterdir()] == [name]
