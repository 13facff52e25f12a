"""Back up and restore on real stores: what comes back is what was there, and nothing that is not is ever put in place."""

import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import duckdb
import pytest

from server.app import App
from server.domain.anomaly import Anomaly, AnomalyFilter, Incident
from server.domain.identity import Principal
from server.domain.run import Run, SourceSpec, Stage
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.errors import ArtifactDamaged, InvalidInput, Unavailable
from server.services.archive import Manifest
from server.services.backup import Places, back_up, restore, verify
from server.settings import Settings

QUICK = WalkSettings(detector=DetectorSettings(n_estimators=20, contamination=0.02))
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ME = Principal(name="ann", tenant="default", channel="test")


def opened(home: Path) -> App:
    """The server over stores in a folder of their own, at a time that stands still."""
    return App(Settings(home=home, threads=1, _env_file=None), lambda: NOW)  # pyright: ignore[reportCallIssue]


def walked(app: App, path: Path, fleet: str = "shop") -> Run:
    """A run on a file with everything done."""
    source = SourceSpec(connector="files", location=str(path))
    return app.walk.advance("default", app.walk.start(Fleet(name=fleet), source, QUICK).id)


def backed_up(app: App, file: Path) -> Manifest:
    """A backup of the app's stores."""
    return back_up(app.records, app.telemetry, app.artifacts, file, NOW)


def answers(app: App, run: Run) -> tuple[object, ...]:
    """What the stores say of a run: records, telemetry with a snapshot's digest, scores, audit trail."""
    anomalies: tuple[Anomaly, ...] = tuple(app.records.anomalies("default", AnomalyFilter(run=run.id), limit=1000)[0])
    incidents: tuple[Incident, ...] = tuple(app.records.incidents("default", run_id=run.id)[0])
    scores = app.artifacts.open(run.id, run.stages[Stage.SCORE].artifact)
    overview = app.questions.overview(ME, fleet=run.fleet.name)
    return (
        app.records.run("default", run.id),
        anomalies,
        incidents,
        app.telemetry.snapshot(run.fleet),
        scores.read_bytes(),
        app.records.audit("default"),
        overview,
    )


@pytest.fixture(scope="module")
def stored(fleet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Run, Path]]:
    """A walked fleet, its run, and a backup of it."""
    folder = tmp_path_factory.mktemp("stored")
    with opened(folder / "home") as app:
        run = walked(app, fleet_file)
        backed_up(app, folder / "whole.tar")
        yield app, run, folder / "whole.tar"


def restored(file: Path, home: Path, *, force: bool = False) -> None:
    """Put a backup into a home folder."""
    with opened(home) as app:
        restore(file, app.places, home / "aside", force=force)


def test_a_round_trip_gives_the_same_answers_and_can_be_walked_on(
    stored: tuple[App, Run, Path], fleet_file: Path, tmp_path: Path
) -> None:
    """Records, rows, scores and the audit trail are those of before; a new walk of the same file ends with the same scores."""
    app, run, file = stored
    assert file.stat().st_mode & 0o077 == 0
    restored(file, tmp_path / "home")
    with opened(tmp_path / "home") as anew:
        assert answers(anew, run) == answers(app, run)
        again = walked(anew, fleet_file)
        assert again.stages[Stage.SCORE].digest == run.stages[Stage.SCORE].digest


def test_a_flipped_byte_is_refused_by_name_and_changes_nothing(stored: tuple[App, Run, Path], tmp_path: Path) -> None:
    """In every member, whichever it is: nothing is put in place."""
    _, _, file = stored
    bytes_ = file.read_bytes()
    with tarfile.open(file) as tar:
        members = [entry for entry in tar if entry.name != "manifest.json"]
    assert {entry.name for entry in members} >= {"records.sqlite", "telemetry.duckdb"}
    for entry in members:
        at = entry.offset_data + entry.size // 2
        damaged = tmp_path / "damaged.tar"
        damaged.write_bytes(bytes_[:at] + bytes([bytes_[at] ^ 1]) + bytes_[at + 1 :])
        with pytest.raises(ArtifactDamaged, match=entry.name):
            restored(damaged, tmp_path / "home")
        assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["records.sqlite", "telemetry.duckdb", "artifacts/"])
def test_a_file_that_is_swapped_after_it_was_verified_replaces_nothing(
    stored: tuple[App, Run, Path], fleet_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each member is checked once more as it is written; the stores that were there are as they were."""
    file, home = tmp_path / "whole.tar", tmp_path / "home"
    shutil.copy(stored[2], file)
    with opened(home) as app:
        run = walked(app, fleet_file)
        before = answers(app, run)

    def verify_and_swap(path: Path) -> Manifest:
        manifest = verify(path)
        with tarfile.open(path) as tar:
            at = next(entry.offset_data + entry.size // 2 for entry in tar if entry.name.startswith(name))
        with path.open("r+b") as swapped:
            swapped.seek(at)
            byte = swapped.read(1)
            swapped.seek(at)
            swapped.write(bytes([byte[0] ^ 1]))
        return manifest

    monkeypatch.setattr("server.services.backup.verify", verify_and_swap)
    with pytest.raises(ArtifactDamaged, match="not those that were backed up"):
        restored(file, home, force=True)
    with opened(home) as app:
        assert answers(app, run) == before
    assert not [path for path in home.rglob("*") if "partial" in path.name or ".restore" in path.name]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.97])
def test_a_backup_that_was_cut_off_is_refused(stored: tuple[App, Run, Path], tmp_path: Path, share: float) -> None:
    """Wherever it ends."""
    whole = stored[2].read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises((ArtifactDamaged, InvalidInput), match=r"cut\.tar"):
        restored(cut, tmp_path / "home")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "artifacts/../../outside", "stranger.txt"])
def test_a_member_that_was_not_backed_up_is_refused(stored: tuple[App, Run, Path], tmp_path: Path, name: str) -> None:
    """A path out of the home folder is never written, even if everything else is right."""
    _, _, file = stored
    more = tmp_path / "more.tar"
    more.write_bytes(file.read_bytes())
    with tarfile.open(more, "a") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ArtifactDamaged, match="not one of those that were backed up"):
        verify(more)


def test_stores_that_are_there_are_kept_unless_forced_and_then_moved_aside(
    stored: tuple[App, Run, Path], fleet_file: Path, tmp_path: Path
) -> None:
    """Nothing is ever deleted by a restore."""
    app, run, file = stored
    home = tmp_path / "home"
    with opened(home) as other:
        kept = walked(other, fleet_file, fleet="other")
    with pytest.raises(InvalidInput, match=r"stores already.*--force"):
        restored(file, home)
    with opened(home) as other:
        assert other.records.run("default", kept.id) == kept
    restored(file, home, force=True)
    with opened(home) as anew:
        assert answers(anew, run) == answers(app, run)
    with sqlite3.connect(home / "aside/anomalyst.sqlite") as aside:
        assert aside.execute("SELECT fleet FROM run").fetchall() == [("other",)]
    assert (home / "aside/telemetry.duckdb").exists()


def test_a_backup_made_while_others_write_holds_all_that_its_records_name(fleet_file: Path, tmp_path: Path) -> None:
    """Walks go on in other threads of the same process; every stage that a restored run says is done can be read."""
    with opened(tmp_path / "busy") as app, ThreadPoolExecutor(1) as thread:
        walked(app, fleet_file, fleet="first")
        enough = Event()

        def keep_walking() -> int:
            walks = 0
            while not enough.is_set():
                walked(app, fleet_file, fleet=f"busy{walks}")
                walks += 1
            return walks

        walking = thread.submit(keep_walking)
        files = [tmp_path / f"busy{number}.tar" for number in range(3)]
        try:
            for file in files:
                backed_up(app, file)
        finally:
            enough.set()
        assert walking.result() >= 1
    for number, file in enumerate(files):
        restored(file, tmp_path / f"home{number}")
        with opened(tmp_path / f"home{number}") as anew:
            runs = anew.records.runs("default")
            assert runs
            for run in runs:
                for record in run.stages.values():
                    if record.artifact:
                        assert anew.artifacts.open(run.id, record.artifact)
                if Stage.INGEST in run.stages:
                    blocks = anew.telemetry.blocks(anew.walk.stages.snapshot(run), rows=1000)
                    assert sum(block.num_rows for block in blocks) == run.stages[Stage.INGEST].rows
            assert anew.records.verify_audit("default") >= 0


def test_an_artifact_that_was_damaged_already_is_left_out_by_name(fleet_file: Path, tmp_path: Path) -> None:
    """One bad file must not prevent every backup; the rest comes back."""
    with opened(tmp_path / "home") as app:
        run = walked(app, fleet_file)
        name = run.stages[Stage.FEATURES].artifact
        (tmp_path / "home/artifacts" / run.id / name).write_bytes(b"not what was written")
        manifest = backed_up(app, tmp_path / "whole.tar")
    assert manifest.left_out == (f"{run.id}/{name}",)
    assert not any(name in member.name for member in verify(tmp_path / "whole.tar").members)


def test_a_backup_is_never_written_over_a_file(stored: tuple[App, Run, Path], tmp_path: Path) -> None:
    """An older backup stays."""
    with pytest.raises(InvalidInput, match="there already"):
        backed_up(stored[0], stored[2])
    with pytest.raises(InvalidInput, match="no folder"):
        backed_up(stored[0], tmp_path / "nowhere/whole.tar")


def test_records_of_a_file_and_of_a_database_server_are_not_mixed(stored: tuple[App, Run, Path], tmp_path: Path) -> None:
    """A backup with records is refused where the settings name a database server."""
    places = Places(None, tmp_path / "telemetry.duckdb", tmp_path / "memory", tmp_path / "artifacts")
    with pytest.raises(InvalidInput, match="ANOMALYST_STORE__URL"):
        restore(stored[2], places, tmp_path / "aside", force=False)
    assert not list(tmp_path.iterdir())


def test_a_copy_is_one_at_a_time_and_leaves_nothing_behind(stored: tuple[App, Run, Path]) -> None:
    """The telemetry store reaches no file but its own and the copy."""
    store = stored[0].telemetry
    with store.copied() as copy:
        with pytest.raises(Unavailable, match="copied already"), store.copied():
            pass
        with duckdb.connect(str(copy), read_only=True) as rows:
            assert rows.execute('SELECT count(*) FROM "default/shop".telemetry').fetchall() != [(0,)]
    assert not copy.parent.exists()
