"""Pruning over real stores: what is old goes, what anything needs stays, and a death in between leaves nothing half gone."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.audit import AuditEntry
from server.domain.feedback import Verdict
from server.domain.identity import Principal
from server.domain.retention import Pruned, Retention
from server.domain.run import Run, SourceSpec, Stage
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.suggestion import Suggestion, SuggestionKind
from server.domain.telemetry import Fleet
from server.errors import AnomalystError, InvalidInput, NotFound, TelemetryPruned
from server.services.stages import Outcome
from server.settings import Settings

QUICK = WalkSettings(detector=DetectorSettings(n_estimators=10, contamination=0.02))
FIRST = datetime(2025, 3, 5, tzinfo=UTC)
ME = Principal(name="ann", tenant="default", channel="test")
SHOP = Fleet(name="shop")


class Home:
    """A server over stores of its own, and what day it is there."""

    def __init__(self, folder: Path) -> None:
        self.now = FIRST
        self.app = App(Settings(home=folder, threads=1, _env_file=None), lambda: self.now)  # pyright: ignore[reportCallIssue]

    def walk(self, file: Path, day: int) -> Run:
        """A run of that day, walked to its end."""
        self.now = FIRST + timedelta(days=day)
        source = SourceSpec(connector="files", location=str(file))
        return self.app.walk.advance("default", self.app.walk.start(SHOP, source, QUICK, run_id=f"shop-{day}").id)

    def prune(self, *, dry_run: bool = False, **bounds: object) -> Pruned:
        """What a pruning with these bounds did."""
        return self.app.pruning.prune(ME, Retention.model_validate(bounds), dry_run=dry_run)

    def runs(self) -> list[str]:
        """Ids of the runs that there are, oldest first."""
        return sorted(run.id for run in self.app.records.runs("default"))

    def folders(self) -> list[str]:
        """Runs that have artifacts."""
        return sorted({run for run, _ in self.app.artifacts.names()})

    def suggest(self, run: Run, base: int) -> None:
        """An open suggestion that was made on the run."""
        suggestion = Suggestion(
            id="s-1",
            fleet=SHOP,
            run=run.id,
            kind=SuggestionKind.ROLLBACK,
            base_version=base,
            reason="why",
            proposer="ann",
            created=self.now,
            expires=self.now + timedelta(days=9),
        )
        self.app.records.corrections.add_suggestion(suggestion, AuditEntry.of(ME, "suggest", "s-1", {}, self.now))


@pytest.fixture(scope="module")
def three_days(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three runs: the telemetry of two days, of three, of all four."""
    folder = tmp_path_factory.mktemp("three")
    home = Home(folder / "home")
    with home.app:
        for day in range(3):
            part = frame[frame["time"] < pd.Timestamp("2025-03-03", tz="UTC") + timedelta(days=day)]
            part.to_parquet(folder / f"{day}.parquet", index=False)
            home.walk(folder / f"{day}.parquet", day)
    return folder / "home"


@pytest.fixture
def home(three_days: Path, tmp_path: Path) -> Iterator[Home]:
    """A copy of it that a test may change."""
    shutil.copytree(three_days, tmp_path / "home")
    found = Home(tmp_path / "home")
    found.now = FIRST + timedelta(days=2)
    with found.app:
        yield found


def anomalies(home: Home, run: str) -> int:
    return home.app.records.anomalies("default", AnomalyFilter(run=run))[1]


def test_runs_beyond_the_newest_go_with_all_that_is_theirs(home: Home) -> None:
    """Record, anomalies, incidents and artifacts; each is in the audit trail, which still holds."""
    before = anomalies(home, "shop-2")
    done = home.prune(keep_runs=1)
    assert [each.run for each in done.runs] == ["shop-1", "shop-0"]
    assert done.bytes == sum(each.bytes for each in done.runs) > 10_000
    assert all(each.anomalies > 0 for each in done.runs)
    assert home.runs() == home.folders() == ["shop-2"]
    with pytest.raises(NotFound):
        home.app.records.run("default", "shop-0")
    assert (anomalies(home, "shop-0"), anomalies(home, "shop-2")) == (0, before)
    acts = [(entry.action, entry.subject) for entry in home.app.records.audit("default")]
    assert {("prune_run", "shop-0"), ("prune_run", "shop-1")} <= set(acts)
    assert home.app.records.verify_audit("default") == len(acts)


def test_a_run_goes_only_beyond_both_bounds(home: Home) -> None:
    """Old enough, and not among the newest."""
    assert [each.run for each in home.prune(keep_runs=2, runs_older_than=timedelta(hours=1)).runs] == ["shop-0"]
    assert home.prune(runs_older_than=timedelta(days=2)).runs == ()
    assert [each.run for each in home.prune(runs_older_than=timedelta(hours=23)).runs] == ["shop-1"]


def test_the_newest_finished_run_stays_however_old(home: Home) -> None:
    """And says why; an answer about the fleet is still given."""
    home.now += timedelta(days=900)
    done = home.prune(runs_older_than=timedelta(days=30))
    assert home.runs() == ["shop-2"]
    assert [(each.run, each.why) for each in done.kept] == [("shop-2", "it is the newest finished run")]
    assert home.app.questions.overview(ME, fleet="shop").run == "shop-2"


def test_the_run_of_an_open_suggestion_stays_and_can_be_read(home: Home) -> None:
    """With its artifacts and its telemetry; a run whose suggestion has other baselines under it goes."""
    version = home.app.records.baseline_version(SHOP)
    assert version is not None
    home.suggest(home.app.records.run("default", "shop-0"), version.version)
    done = home.prune(keep_runs=1, telemetry_older_than=timedelta(days=1))
    assert (home.runs(), [each.why for each in done.kept]) == (["shop-0", "shop-2"], ["suggestion s-1 is open"])
    assert home.app.walk.stages.members(home.app.records.run("default", "shop-0")).devices


def test_a_stale_suggestion_holds_nothing(home: Home) -> None:
    """It cannot be applied any more."""
    home.suggest(home.app.records.run("default", "shop-0"), 1)
    assert {each.run for each in home.prune(keep_runs=1).runs} == {"shop-0", "shop-1"}


def test_every_baseline_version_can_still_be_returned_to(home: Home) -> None:
    """Versions and their adjustments stay; only the statistics of those that nothing was walked on go."""
    home.prune(keep_runs=1)
    versions = [home.app.records.baseline_version(SHOP, number) for number in (1, 2, 3)]
    assert [each.run for each in versions if each] == ["shop-0", "shop-1", "shop-2"]
    assert [bool(home.app.records.baselines(SHOP, number)) for number in (1, 2, 3)] == [False, False, True]


def test_a_kept_run_without_its_telemetry_says_so(home: Home) -> None:
    """What SQL has of it is still told; what would have to be computed on a part of its rows is refused."""
    done = home.prune(keep_runs=3, telemetry_older_than=timedelta(days=3))
    assert done.telemetry[0].waiting > 0  # the newest run reads them all
    assert done.telemetry[0].removed == 0
    home.walk(Path(home.app.records.run("default", "shop-2").source.location), 3)
    (told,) = home.prune(keep_runs=4, telemetry_older_than=timedelta(days=3)).telemetry
    assert told.waiting > 0  # its file brought them again, so it reads them as well
    assert home.runs() == ["shop-0", "shop-1", "shop-2", "shop-3"]


def test_telemetry_that_no_needed_run_reads_is_gone(home: Home, frame: pd.DataFrame, tmp_path: Path) -> None:
    """A new run on new rows alone: then the old rows go, and the old runs say so when they are asked."""
    home.now = FIRST + timedelta(days=3)
    home.prune(telemetry_older_than=timedelta(days=4))
    new = frame.assign(time=frame["time"] + timedelta(days=4))
    new.to_parquet(tmp_path / "new.parquet", index=False)
    fresh = home.walk(tmp_path / "new.parquet", 4)
    home.now = FIRST + timedelta(days=3)
    (told,) = home.prune(telemetry_older_than=timedelta(days=4)).telemetry
    assert (told.removed, told.waiting) == (6 * 72, 0)
    old = home.app.records.run("default", "shop-2")
    with pytest.raises(TelemetryPruned, match="Ask a newer run"):
        home.app.questions.overview(ME, fleet="shop") and home.app.walk.stages.members(old)
    assert anomalies(home, "shop-2") > 0
    assert home.app.walk.stages.members(fresh).devices


def test_a_dry_run_says_the_same_and_removes_nothing(home: Home) -> None:
    """What it prints is what then happens."""
    bounds = {"keep_runs": 1, "telemetry_older_than": timedelta(days=3)}
    trail = home.app.records.audit("default")
    told = home.prune(dry_run=True, **bounds)
    assert home.runs() == home.folders() == ["shop-0", "shop-1", "shop-2"]
    assert home.app.records.audit("default") == trail
    assert home.prune(**bounds).model_dump(exclude={"dry_run"}) == told.model_dump(exclude={"dry_run"})


def test_a_death_between_rows_and_files_leaves_what_the_next_pruning_takes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit trail says whose files they were; files of runs that nobody removed are never touched."""

    def killed(_: str) -> None:
        raise KeyboardInterrupt

    stranger = home.app.settings.artifact_folder / "of-another-home"
    shutil.copytree(home.app.settings.artifact_folder / "shop-2", stranger)
    with monkeypatch.context() as patched:
        patched.setattr(home.app.artifacts, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            home.prune(keep_runs=1)
    assert home.runs() == ["shop-2"]
    assert home.folders() == ["of-another-home", "shop-0", "shop-1", "shop-2"]
    assert home.prune(keep_runs=1).left_over > 10_000
    assert home.folders() == ["of-another-home", "shop-2"]
    assert home.prune(keep_runs=1).left_over == 0


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3])
def test_a_run_that_is_walked_again_while_it_is_pruned_is_whole_or_gone(home: Home, delay: float) -> None:
    """Whichever comes first; whoever walks it hears why it ended, and the next pruning leaves no file of it."""

    def walk_again() -> None:
        for stage in (Stage.BASELINES, Stage.TRAIN, Stage.SCORE, Stage.PERSIST):
            home.app.walk.run_stage("default", "shop-0", stage)

    with ThreadPoolExecutor() as pool:
        walking = pool.submit(walk_again)
        time.sleep(delay)
        pruned = {each.run for each in home.prune(keep_runs=1, telemetry_older_than=timedelta(days=1)).runs}
        failed = walking.exception()
    assert failed is None or isinstance(failed, AnomalystError), failed
    home.prune(keep_runs=2)
    assert home.runs() == home.folders()
    if "shop-0" in pruned:
        assert "shop-0" not in home.runs()
        assert anomalies(home, "shop-0") == 0
    home.app.walk.advance("default", "shop-2")
    assert anomalies(home, "shop-2") > 0


def test_a_stage_that_broke_because_its_run_was_removed_says_that(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not what it broke on."""

    def pruned_and_broken(*_: object) -> Outcome:
        home.prune(keep_runs=1)
        raise KeyError("a file that is gone")

    monkeypatch.setattr(home.app.walk.stages, "verbs", {Stage.SCORE: pruned_and_broken})
    with pytest.raises(NotFound, match="shop-0"):
        home.app.walk.run_stage("default", "shop-0", Stage.SCORE)


def test_files_stay_if_another_tenant_has_a_run_of_that_name(home: Home) -> None:
    """Artifacts lie in folders by run, whoever's it is."""
    run = home.app.records.run("default", "shop-0")
    home.app.records.add_run(run.model_copy(update={"fleet": Fleet(tenant="rival", name="shop")}))
    home.prune(keep_runs=1)
    assert home.folders() == ["shop-0", "shop-2"]
    assert home.app.records.run("rival", "shop-0")


def test_memory_can_be_made_anew_after_its_runs_are_gone(home: Home) -> None:
    """P9 holds for what was said of anomalies that are no longer stored: the verdict has all that is remembered."""
    found = home.app.records.anomalies("default", AnomalyFilter(run="shop-0"))[0][0]
    home.app.verdicts.record(ME, Verdict.FALSE_ALARM, anomaly=found.id, note="a new app")
    home.prune(keep_runs=1)
    assert home.app.recollection.rebuild() == 1


def test_a_retention_that_removes_nothing_is_refused(home: Home) -> None:
    """Nothing goes because nobody said what."""
    with pytest.raises(InvalidInput, match="Say how many runs"):
        home.prune()
