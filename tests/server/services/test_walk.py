"""The walk on real stores: guarded, recorded, resumable, and the same whatever order its rows and calls come in."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import pytest

from server.app import App
from server.domain.anomaly import Anomaly, AnomalyFilter
from server.domain.baseline import Level
from server.domain.run import Run, SourceSpec, Stage, StageStatus
from server.domain.settings import BaselineSettings, DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.errors import ArtifactDamaged, InvalidInput, StageNotReady, Unavailable
from server.services.walk import silent
from server.settings import Settings

QUICK = WalkSettings(detector=DetectorSettings(n_estimators=20, contamination=0.02))
TENANT = "default"


def opened(home: Path, threads: int = 1) -> App:
    """The server over stores in a folder of their own."""
    return App(Settings(home=home, threads=threads, _env_file=None))  # pyright: ignore[reportCallIssue]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A server with nothing in it."""
    with opened(tmp_path / "home") as app:
        yield app


def started(app: App, path: Path, settings: WalkSettings = QUICK, fleet: str = "shop") -> Run:
    """A run on a file with nothing done yet."""
    return app.walk.start(Fleet(name=fleet), SourceSpec(connector="files", location=str(path)), settings)


def walked(app: App, path: Path, settings: WalkSettings = QUICK, fleet: str = "shop") -> Run:
    """A run on a file with everything done."""
    return app.walk.advance(TENANT, started(app, path, settings, fleet).id)


def scores(run: Run) -> str:
    """Digest of the run's scores."""
    return run.stages[Stage.SCORE].digest


def shown(app: App, run: Run) -> tuple[Anomaly, ...]:
    """The run's persisted anomalies."""
    return tuple(app.records.anomalies(TENANT, AnomalyFilter(run=run.id), limit=1000)[0])


@pytest.fixture(scope="module")
def unbroken(fleet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Scores digest of a walk of the fleet that nothing interfered with."""
    with opened(tmp_path_factory.mktemp("unbroken")) as app:
        return scores(walked(app, fleet_file))


def test_verbs_out_of_order_are_refused_and_the_walk_ends_the_same(app: App, fleet_file: Path, unbroken: str) -> None:
    """At every point of the walk, each verb that is too early names the one that is due, and leaves no trace."""
    run = started(app, fleet_file)
    for due in Stage:
        before = app.records.run(TENANT, run.id)
        for early in list(Stage)[list(Stage).index(due) + 1 :]:
            with pytest.raises(StageNotReady, match=f"Call {due.value} next") as refusal:
                app.walk.run_stage(TENANT, run.id, early)
            assert refusal.value.blocker == due.value
        assert app.records.run(TENANT, run.id) == before
        run = app.walk.run_stage(TENANT, run.id, due)
    assert run.next_stage() is None
    assert scores(run) == unbroken


def test_a_verb_called_again_changes_nothing_below_it(app: App, fleet_file: Path) -> None:
    """Each stage over again, in any state of the rest: the same digests, so that nothing else has to be."""
    run = walked(app, fleet_file)
    digests = {stage: record.digest for stage, record in run.stages.items()}
    found = shown(app, run)
    for stage in reversed(Stage):
        run = app.walk.run_stage(TENANT, run.id, stage)
        assert run.next_stage() is None, stage
    assert {stage: record.digest for stage, record in run.stages.items()} == digests
    assert shown(app, run) == found


def test_advance_twice_does_everything_once(app: App, fleet_file: Path) -> None:
    """The second call finds nothing missing, runs no stage and stores nothing."""
    run = walked(app, fleet_file)
    calls: list[Stage] = []
    again = app.walk.advance(TENANT, run.id, progress=lambda stage, _, __: calls.append(stage))
    assert (again, calls) == (run, [])


def test_a_second_walk_of_the_same_run_is_told_so_at_once(app: App, fleet_file: Path, unbroken: str) -> None:
    """While one thread is in a stage another is told Unavailable, for any stage; the first ends as if alone."""
    run = started(app, fleet_file)
    inside, go_on = Event(), Event()

    def wait_inside(stage: Stage, _: int, __: int | None) -> None:
        if stage is Stage.FEATURES:
            inside.set()
            assert go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(app.walk.advance, TENANT, run.id, Stage.PERSIST, wait_inside)
        try:
            assert inside.wait(60)
            for call in (
                lambda: app.walk.run_stage(TENANT, run.id, Stage.INGEST),
                lambda: app.walk.advance(TENANT, run.id),
            ):
                with pytest.raises(Unavailable, match="being walked by another call"):
                    call()
            other = started(app, fleet_file, fleet="depot")
            assert app.records.run(TENANT, other.id).stages == {}
        finally:
            go_on.set()
        assert scores(first.result(60)) == unbroken
    assert app.walk.advance(TENANT, run.id).next_stage() is None


class RefusingOnce:
    """Records of which one method raises the first time it is called, after `before` ran."""

    def __init__(self, records: object, method: str, error: Exception) -> None:
        self._records, self._method, self._error = records, method, error
        self._left = 1

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._left:
            self._left -= 1
            return self._refuse
        return getattr(self._records, name)

    def _refuse(self, *_: object) -> None:
        raise self._error


def refusing(app: App, method: str, error: Exception) -> None:
    """Let one method of the app's SQL store fail once; to be called before the walk is first used."""
    app.records = RefusingOnce(app.records, method, error)  # pyright: ignore[reportAttributeAccessIssue]


def test_persistence_that_fails_keeps_the_scores_and_can_be_retried(app: App, fleet_file: Path, unbroken: str) -> None:
    """The run says so, nothing is shown that is not persisted, and the next call stores what was scored before."""
    refusing(app, "persist_scored", Unavailable("the SQL store does not answer. Try again later."))
    run = started(app, fleet_file)
    with pytest.raises(Unavailable, match="does not answer"):
        app.walk.advance(TENANT, run.id)
    failed = app.records.run(TENANT, run.id)
    assert failed.stages[Stage.PERSIST].status is StageStatus.FAILED
    assert failed.stages[Stage.PERSIST].error == "the SQL store does not answer. Try again later."
    assert scores(failed) == unbroken
    assert app.walk.stages.scores(failed).stat().st_size > 0
    assert app.records.anomalies(TENANT, AnomalyFilter()) == ([], 0)
    assert app.records.incidents(TENANT) == ([], 0)
    done = app.walk.advance(TENANT, run.id)
    assert done.stages[Stage.SCORE] == failed.stages[Stage.SCORE]
    assert len(shown(app, done)) == done.stages[Stage.PERSIST].rows > 0


def test_the_cause_of_a_failure_is_told_even_if_it_cannot_be_noted(app: App, fleet_file: Path) -> None:
    """When the store refuses the note as well, the caller hears of the stage's own failure, and the run can go on."""
    refusing(app, "save_run", Unavailable("no note can be taken"))
    run = started(app, fleet_file.with_name("missing.parquet"))
    with pytest.raises(InvalidInput, match=r"no file or folder missing\.parquet"):
        app.walk.advance(TENANT, run.id)
    assert app.records.run(TENANT, run.id).next_stage() is Stage.INGEST


def test_a_fault_in_a_stage_is_on_the_run_by_its_type_only(app: App, fleet_file: Path, unbroken: str) -> None:
    """An error that nobody meant for a reader goes on to the caller; the run says that the stage failed, not what was in it."""
    refusing(app, "add_baseline_version", ZeroDivisionError("secret of row 7"))
    run = started(app, fleet_file)
    with pytest.raises(ZeroDivisionError, match="secret of row 7"):
        app.walk.advance(TENANT, run.id)
    failed = app.records.run(TENANT, run.id)
    assert failed.stages[Stage.BASELINES].status is StageStatus.FAILED
    assert failed.stages[Stage.BASELINES].error == "fault of anomalyst (ZeroDivisionError)"
    with pytest.raises(StageNotReady, match="Call compute_baselines next"):
        app.walk.run_stage(TENANT, run.id, Stage.TRAIN)
    assert scores(app.walk.advance(TENANT, run.id)) == unbroken


def test_without_baselines_raw_features_are_used_and_that_is_shown_everywhere(app: App, fleet_file: Path) -> None:
    """The reason stands in every stage's record from there on and on every anomaly, which then names no level."""
    settings = QUICK.model_copy(update={"baselines": BaselineSettings(min_rows=100_000)})
    run = walked(app, fleet_file, settings)
    reason = run.stages[Stage.BASELINES].fallback
    assert "at least 100,000 are needed" in reason
    assert reason in run.stages[Stage.BASELINES].summary
    assert [run.stages[stage].fallback for stage in (Stage.TRAIN, Stage.SCORE, Stage.PERSIST)] == [reason] * 3
    assert app.records.baseline_version(run.fleet) is None
    found = shown(app, run)
    assert found
    assert {(each.fallback, each.baseline_version) for each in found} == {(reason, None)}
    assert {part.level for each in found for part in each.contributions} == {None}


def test_with_baselines_no_fallback_is_claimed(app: App, fleet_file: Path) -> None:
    """The opposite of the above: z-scores name their level, and no record or anomaly speaks of a fallback."""
    run = walked(app, fleet_file)
    found = shown(app, run)
    assert {record.fallback for record in run.stages.values()} == {""}
    assert {(each.fallback, each.baseline_version) for each in found} == {("", 1)}
    assert {part.level for each in found for part in each.contributions} <= set(Level)


def test_without_a_usable_feature_the_run_stops_at_training(app: App, frame: pd.DataFrame, tmp_path: Path) -> None:
    """A fleet in which nothing changes: the error counts the columns and says what to do; what was made before it stays."""
    frame.assign(load=1.0, heat=7.0).to_parquet(tmp_path / "still.parquet", index=False)
    run = started(app, tmp_path / "still.parquet")
    with pytest.raises(InvalidInput, match=r"no usable feature: of \d+ columns 0 have no value, \d+ do not vary .* Check the"):
        app.walk.advance(TENANT, run.id)
    stopped = app.records.run(TENANT, run.id)
    assert (list(stopped.stages), stopped.next_stage()) == (list(Stage)[:4], Stage.TRAIN)
    assert "no usable feature" in stopped.stages[Stage.TRAIN].error
    assert app.records.detector_version(run.fleet) is None
    assert app.records.anomalies(TENANT, AnomalyFilter()) == ([], 0)


@pytest.mark.parametrize(
    ("stage", "reader"),
    list(zip(list(Stage)[1:], list(Stage)[2:], strict=False)),
)
def test_a_damaged_artifact_is_refused_and_its_stage_heals_it(
    app: App, fleet_file: Path, unbroken: str, stage: Stage, reader: Stage
) -> None:
    """Who reads it names the stage to run again; that stage makes the same bytes anew, and the walk goes on."""
    run = app.walk.advance(TENANT, started(app, fleet_file).id, to=stage)
    path = app.settings.artifact_folder / run.id / run.stages[stage].artifact
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ArtifactDamaged, match=f"Run {stage.value} again") as refusal:
        app.walk.run_stage(TENANT, run.id, reader)
    assert refusal.value.stage == stage.value
    assert app.records.run(TENANT, run.id).stages[reader].status is StageStatus.FAILED
    app.walk.run_stage(TENANT, run.id, stage)
    assert scores(app.walk.advance(TENANT, run.id)) == unbroken


def test_two_threads_give_the_scores_of_one(fleet_file: Path, unbroken: str, tmp_path: Path) -> None:
    """Same input, same seed: same digest."""
    with opened(tmp_path, threads=2) as app:
        assert scores(walked(app, fleet_file)) == unbroken


def as_pieces(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Every third row first, then the others from the last to the first: late, out of order and split."""
    early = frame.index % 3 == 0
    return [frame[early], frame[~early].iloc[::-1]]


ARRIVALS: dict[str, Callable[[pd.DataFrame], list[pd.DataFrame]]] = {
    "shuffled": lambda frame: [frame.sample(frac=1, random_state=5)],
    "some rows twice": lambda frame: [pd.concat([frame, frame.iloc[10:200]])],
    "every row twice, shuffled": lambda frame: [pd.concat([frame, frame]).sample(frac=1, random_state=6)],
    "in two files, the second late": as_pieces,
    "in two files that overlap": lambda frame: [frame.iloc[:400], frame.iloc[200:]],
    "the same file again": lambda frame: [frame, frame],
}


@pytest.mark.parametrize("arrival", ARRIVALS)
def test_how_rows_arrive_changes_no_score(app: App, frame: pd.DataFrame, unbroken: str, arrival: str, tmp_path: Path) -> None:
    """The same rows in another order, repeated or in pieces end at the same digest, and every row is accounted for."""
    *early, last = ARRIVALS[arrival](frame)
    for number, piece in enumerate(early):
        piece.to_parquet(tmp_path / f"{number}.parquet", index=False)
        app.walk.advance(TENANT, started(app, tmp_path / f"{number}.parquet").id, to=Stage.INGEST)
    last.to_parquet(tmp_path / "last.parquet", index=False)
    run = walked(app, tmp_path / "last.parquet")
    assert scores(run) == unbroken
    report = app.walk.stages.report(run)
    assert report.rows_in == len(last) == report.rows_kept + sum(report.rejected.values())
    assert app.walk.stages.snapshot(run).rows == len(frame)


def test_a_run_reads_what_was_there_when_it_began(
    app: App, frame: pd.DataFrame, fleet_file: Path, unbroken: str, tmp_path: Path
) -> None:
    """Rows that another run brings later do not get into the stages that are still to come."""
    run = app.walk.advance(TENANT, started(app, fleet_file).id, to=Stage.INGEST)
    later = frame.assign(time=frame.time + pd.Timedelta(days=4), load=frame.load + 9)
    later.to_parquet(tmp_path / "later.parquet", index=False)
    app.walk.advance(TENANT, started(app, tmp_path / "later.parquet").id, to=Stage.INGEST)
    assert scores(app.walk.advance(TENANT, run.id, Stage.PERSIST, silent)) == unbroken


def test_each_run_s_anomalies_name_the_versions_that_it_was_scored_with(
    app: App, frame: pd.DataFrame, fleet_file: Path, tmp_path: Path
) -> None:
    """Two walks of one fleet, stage by stage in turn: neither is told of the other's baselines or detector."""
    other = frame.assign(load=frame.heat * 2, heat=frame.load.fillna(70) + 20)
    other.to_parquet(tmp_path / "other.parquet", index=False)
    first = app.walk.advance(TENANT, started(app, fleet_file).id, to=Stage.FEATURES)
    second = app.walk.advance(TENANT, started(app, tmp_path / "other.parquet").id, to=Stage.FEATURES)
    for stage in (Stage.BASELINES, Stage.TRAIN, Stage.SCORE, Stage.PERSIST):
        for run in (first, second):
            app.walk.run_stage(TENANT, run.id, stage)
    for run, version in ((first, 1), (second, 2)):
        assert {(each.baseline_version, each.detector_version) for each in shown(app, run)} == {(version, version)}
