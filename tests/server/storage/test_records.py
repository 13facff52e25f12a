"""The conformance suite of `Records`: runs, versions and scored sets, on every store."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest

from server.domain.anomaly import Anomaly, AnomalyFilter, Contribution, Incident, IncidentKind
from server.domain.baseline import Baseline, BaselineVersion, DetectorVersion, Level
from server.domain.run import Run, SourceSpec, Stage, StageRecord, StageStatus
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet, Metric
from server.errors import InvalidInput, NotFound, Unavailable
from server.storage.base import Records
from server.storage.columns import anomaly_rows, baseline_rows

NOW = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
FLEET = Fleet(tenant="acme", name="field")
OTHER = Fleet(tenant="rival", name="field")


def a_source(location: str) -> SourceSpec:
    return SourceSpec(connector="files", location=location)


def a_run(run_id: str = "run-1", fleet: Fleet = FLEET, age: int = 0) -> Run:
    return Run(id=run_id, fleet=fleet, settings=WalkSettings(), created=NOW - timedelta(days=age), source=a_source("x.csv"))


def an_anomaly(number: int, run: Run, **fields: object) -> Anomaly:
    cause = Contribution(
        metric="Download", feature="Download_mean", value=None, typical=1.5, z=4.25, level=Level.DEVICE, n=9, share=1
    )
    usual = {"device": f"dev-{number % 3}", "severity": float(number), "incident": "i-1" if number % 2 else ""}
    return Anomaly.model_validate(
        {
            "id": f"anomaly-{number:04d}",
            "fleet": run.fleet,
            "run": run.id,
            "time": NOW + timedelta(minutes=number),
            "cohort": ("3", "ünï\n\"'code 🙂", ""),
            "site": "",
            "score": -0.1 - number / 1000,
            "threshold": -0.1,
            "confidence": 0.75,
            "contributions": (cause,) if number % 5 else (),
            "detector_version": 1,
        }
        | usual
        | fields
    )


def an_incident(number: int, run: Run, devices: int = 1) -> Incident:
    return Incident(
        id=f"incident-{number}",
        fleet=run.fleet,
        run=run.id,
        kind=IncidentKind.DEVICE,
        title="3 of 4 devices",
        metrics=("Download",),
        scope={"OsVersionId": "13"},
        start=NOW,
        end=NOW,
        devices=tuple(f"d{n}" for n in range(devices)),
        devices_in_scope=4,
        elsewhere_share=0.5,
        anomalies=3,
        severity=10,
    )


def a_version(digest: str = "d1", fleet: Fleet = FLEET) -> BaselineVersion:
    return BaselineVersion(
        fleet=fleet, version=1, run="run-1", digest=digest, artifact="a", created=NOW, groups={Level.DEVICE: 2}
    )


def some_baselines() -> list[Baseline]:
    return [
        Baseline(feature=feature, level=level, group=group, median=1.25, scale=0.1, n=30)
        for level, group in ((Level.COHORT, "B"), (Level.DEVICE, "a"), (Level.DEVICE, "Z"))
        for feature in ("x_std", "x_mean")
    ]


def persisted(records: Records, run: Run, digest: str = "s1", count: int = 12) -> list[Anomaly]:
    anomalies = [an_anomaly(number, run) for number in range(count)]
    assert records.persist_scored(run, digest, anomaly_rows(anomalies), [an_incident(1, run)]) == count
    return anomalies


def test_a_run_comes_back_equal_with_its_stages(records: Records) -> None:
    """What is read is what was written, stage records, settings and times included."""
    done = StageRecord(stage=Stage.INGEST, status=StageStatus.DONE, digest="d", started=NOW, finished=NOW)
    run = a_run().with_record(done)
    records.add_run(run)
    assert records.run("acme", "run-1") == run


def test_runs_are_listed_newest_first_page_by_page(records: Records) -> None:
    """Pages neither overlap nor leave a run out, whatever zone the run's time was given in."""
    for age in (2, 0, 1):
        records.add_run(a_run(f"run-{age}", age=age))
    east = a_run("run-east").model_copy(
        update={"created": (NOW - timedelta(hours=12)).astimezone(timezone(timedelta(hours=9)))}
    )
    records.add_run(east)
    pages = [records.runs("acme", limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [[run.id for run in page] for page in pages] == [["run-0", "run-east"], ["run-1", "run-2"], []]
    assert records.runs("acme", fleet="elsewhere") == []


def test_a_second_run_of_the_same_id_is_refused(records: Records) -> None:
    """Ids are unique within a tenant, and free in another."""
    records.add_run(a_run())
    with pytest.raises(InvalidInput, match="run-1"):
        records.add_run(a_run())
    records.add_run(a_run(fleet=OTHER))


def test_a_naive_time_is_refused_not_guessed(records: Records) -> None:
    """A time without a zone could be any moment within a day."""
    with pytest.raises(InvalidInput, match="time"):
        records.add_run(a_run().model_copy(update={"created": datetime(2026, 1, 1)}))  # noqa: DTZ001
    with pytest.raises(InvalidInput, match="zone"):
        anomaly_rows([an_anomaly(1, a_run(), time=datetime(2026, 1, 1))])  # noqa: DTZ001


def test_saving_moves_the_revision_and_a_stale_writer_is_refused(records: Records) -> None:
    """Compare-and-set: a run read before another's change cannot overwrite it."""
    records.add_run(run := a_run())
    saved = records.save_run(run.model_copy(update={"source": a_source("new")}))
    assert (saved.revision, records.run("acme", "run-1")) == (1, saved)
    with pytest.raises(Unavailable, match="revision 1"):
        records.save_run(run)
    with pytest.raises(NotFound, match="run-1"):
        records.save_run(a_run("run-2"))


def test_of_many_writers_of_one_revision_one_wins(records: Records) -> None:
    """The check and the write are one statement."""
    records.add_run(run := a_run())
    gate, won = threading.Barrier(8), []

    def save(name: str) -> None:
        gate.wait()
        with contextlib.suppress(Unavailable):
            won.append(records.save_run(run.model_copy(update={"source": a_source(name)})).source)

    threads = [threading.Thread(target=save, args=(f"writer {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [records.run("acme", "run-1").source]


def test_a_missing_run_offers_near_ids_of_the_same_tenant_only(records: Records) -> None:
    """A refusal leads on, and tells nothing about other tenants."""
    records.add_run(a_run("night-walk"))
    records.add_run(a_run("night-walks", OTHER))
    with pytest.raises(NotFound, match=r"Did you mean night-walk\?"):
        records.run("acme", "nightwalk")


def test_nothing_of_another_tenant_exists(records: Records) -> None:
    """Every reading method with a foreign tenant's true ids finds nothing."""
    records.add_run(run := a_run())
    anomaly = persisted(records, run)[0]
    records.add_baseline_version(a_version(), baseline_rows(some_baselines()))
    missing = (
        lambda: records.run("rival", "run-1"),
        lambda: records.anomaly("rival", anomaly.id),
        lambda: records.incident("rival", "incident-1"),
        lambda: records.save_run(a_run(fleet=OTHER)),
        lambda: records.save_run(a_run(fleet=Fleet(tenant="acme", name="other"))) and records.run("rival", "run-1"),
        lambda: records.persist_scored(a_run(fleet=OTHER), "s9", anomaly_rows([]), []),
    )
    for call in missing:
        with pytest.raises((NotFound, Unavailable)):
            call()
    assert records.runs("rival") == []
    assert records.anomalies("rival", AnomalyFilter(run="run-1", fleet="field")) == ([], 0)
    assert records.incidents("rival", run_id="run-1") == ([], 0)
    assert records.baseline_version(OTHER) is None
    assert records.baselines(OTHER, 1) == []


def test_a_baseline_version_gets_the_next_number_and_expires_the_one_before(records: Records) -> None:
    """Versions are counted by the store; exactly one is in force; an old one is still read as it was (P7)."""
    first = records.add_baseline_version(a_version("d1"), baseline_rows(some_baselines()))
    second = records.add_baseline_version(a_version("d2"), baseline_rows(some_baselines()[:2]))
    assert (first.version, second.version) == (1, 2)
    assert records.baseline_version(FLEET) == second
    assert records.baseline_version(FLEET, 1) == first.model_copy(update={"expired": NOW})
    assert records.baseline_version(FLEET, 3) is None
    assert (len(records.baselines(FLEET, 1)), len(records.baselines(FLEET, 2))) == (6, 2)
    assert records.add_baseline_version(a_version("d3", OTHER), baseline_rows([])).version == 1


def test_the_digest_in_force_is_not_stored_twice_and_an_older_one_is_a_new_version(records: Records) -> None:
    """Re-sent requests make no version (P4); going back to old statistics does, as a rollback rolls forward."""
    first = records.add_baseline_version(a_version("d1"), baseline_rows(some_baselines()))
    assert records.add_baseline_version(a_version("d1"), baseline_rows([])) == first
    records.add_baseline_version(a_version("d2"), baseline_rows([]))
    assert records.add_baseline_version(a_version("d1"), baseline_rows(some_baselines())).version == 3


def test_baselines_are_narrowed_and_paged_in_key_order(records: Records) -> None:
    """By level, group and feature in code point order, the same on every store."""
    records.add_baseline_version(a_version(), baseline_rows(some_baselines()))
    keys = [(each.level, each.group, each.feature) for each in records.baselines(FLEET, 1, limit=4, offset=1)]
    assert keys == [("cohort", "B", "x_std"), ("device", "Z", "x_mean"), ("device", "Z", "x_std"), ("device", "a", "x_mean")]
    only = records.baselines(FLEET, 1, level=Level.DEVICE, group="a", feature="x_std")
    assert only == [Baseline(feature="x_std", level=Level.DEVICE, group="a", median=1.25, scale=0.1, n=30)]


def test_of_many_adders_of_one_digest_one_version_comes(records: Records) -> None:
    """P4: the same correction sent eight times at once is one version."""
    gate, numbers = threading.Barrier(8), []

    def add() -> None:
        gate.wait()
        numbers.append(records.add_baseline_version(a_version("same"), baseline_rows(some_baselines())).version)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [1] * 8
    assert len(records.baselines(FLEET, 1)) == 6


def test_the_registers_hold_what_the_newest_run_saw(records: Records) -> None:
    """Devices and metrics of that fleet alone, not of another tenant's of the same name; a run replaces both whole."""
    run = a_run("run-1")
    records.register(run, {"d-1": 5, "d-2": 7}, [Metric(name="drain", unit="%"), Metric(name="age")])
    assert records.devices(run.fleet) == {"d-1": 5, "d-2": 7}
    assert [metric.name for metric in records.metrics(run.fleet)] == ["age", "drain"]
    assert records.metrics(run.fleet)[1].unit == "%"
    records.register(run, {"d-3": 1}, [])
    assert (records.devices(run.fleet), records.metrics(run.fleet)) == ({"d-3": 1}, [])
    assert records.devices(Fleet(tenant="stranger", name=run.fleet.name)) == {}


def test_detector_versions_count_up_and_repeat_nothing(records: Records) -> None:
    """The newest digest again is a no-op; an older version stays readable."""
    made = DetectorVersion(
        fleet=FLEET,
        version=7,
        run="run-1",
        detector="hybrid",
        digest="d1",
        artifact="a",
        baseline_version=None,
        threshold=-0.5,
        calibration="c",
        created=NOW,
    )
    assert records.detector_version(FLEET) is None
    first = records.add_detector_version(made)
    assert first.version == 1
    assert records.add_detector_version(made) == first
    second = records.add_detector_version(made.model_copy(update={"digest": "d2"}))
    assert (records.detector_version(FLEET), records.detector_version(FLEET, 1)) == (second, first)


def test_anomalies_come_back_equal_and_worst_first(records: Records) -> None:
    """Every field survives, whatever signs are in it; pages and their total fit together."""
    records.add_run(run := a_run())
    anomalies = persisted(records, run)
    worst_first = anomalies[::-1]
    assert records.anomalies("acme", AnomalyFilter(), limit=5) == (worst_first[:5], 12)
    assert records.anomalies("acme", AnomalyFilter(), limit=5, offset=10) == (worst_first[10:], 12)
    assert records.anomaly("acme", anomalies[3].id) == anomalies[3]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (AnomalyFilter(device="dev-2"), {2, 5, 8, 11}),
        (AnomalyFilter(device="dev-2", min_severity=8), {8, 11}),
        (AnomalyFilter(incident="i-1", device="dev-0"), {3, 9}),
        (AnomalyFilter(incident="incident-9"), set()),
        (AnomalyFilter(metric="Download"), {1, 2, 3, 4, 6, 7, 8, 9, 11}),
        (AnomalyFilter(metric=""), {0, 5, 10}),
        (AnomalyFilter(start=NOW + timedelta(minutes=10)), {10, 11}),
        (AnomalyFilter(end=NOW + timedelta(minutes=1)), {0, 1}),
        (AnomalyFilter(fleet="field", run="run-1", min_severity=10.5), {11}),
        (AnomalyFilter(fleet="elsewhere"), set()),
        (AnomalyFilter(run="run-2"), set()),
    ],
)
def test_a_filter_narrows_rows_and_total_alike(records: Records, wanted: AnomalyFilter, numbers: set[int]) -> None:
    """Each field of the filter, bounds included; the total counts what all pages hold."""
    records.add_run(run := a_run())
    persisted(records, run)
    found, total = records.anomalies("acme", wanted)
    assert {int(each.severity) for each in found} == numbers
    assert total == len(numbers)


def test_a_missing_anomaly_or_incident_offers_near_ids(records: Records) -> None:
    """A refusal leads on."""
    records.add_run(run := a_run())
    persisted(records, run)
    with pytest.raises(NotFound, match=r"Did you mean .*anomaly-0003"):
        records.anomaly("acme", "anomaly-003")
    with pytest.raises(NotFound, match=r"Did you mean incident-1\?"):
        records.incident("acme", "incident_1")


def test_the_newest_set_of_the_newest_run_is_shown_and_older_ones_are_kept(records: Records) -> None:
    """Shown is one set a fleet; a named run shows its own newest; an anomaly only an old set has is still found by id."""
    old, new = a_run("old", age=1), a_run("new")
    records.add_run(old)
    records.add_run(new)
    persisted(records, old, "s1", 5)
    assert records.anomalies("acme", AnomalyFilter(), limit=0)[1] == 5
    persisted(records, new, "s2", 4)
    persisted(records, new, "s3", 3)
    persisted(records, old, "s4", 7)
    assert records.anomalies("acme", AnomalyFilter(), limit=0)[1] == 3
    assert records.anomalies("acme", AnomalyFilter(run="old"), limit=0)[1] == 7
    assert records.anomaly("acme", "anomaly-0001").run == "new"
    assert records.anomaly("acme", "anomaly-0006").run == "old"
    assert records.incidents("acme")[1] == 1


def test_the_same_digest_again_stores_nothing_and_shows_that_set_again(records: Records) -> None:
    """Persisting is idempotent; after a rollback the scores, and so what is shown, are what they were (P7)."""
    records.add_run(run := a_run())
    first = persisted(records, run, "s1", 4)
    assert records.persist_scored(run, "s1", anomaly_rows(first), [an_incident(1, run)]) == 4
    persisted(records, run, "s2", 6)
    assert records.persist_scored(run, "s1", iter([]), []) == 4
    assert records.anomalies("acme", AnomalyFilter()) == (first[::-1], 4)


def test_all_fleets_of_a_tenant_are_shown_together_worst_first(records: Records) -> None:
    """Without a fleet in the filter, each fleet brings its own newest set."""
    there = Fleet(tenant="acme", name="depot")
    for fleet, count in ((FLEET, 3), (there, 2)):
        records.add_run(run := a_run(f"run-{fleet.name}", fleet))
        persisted(records, run, "s", count)
    found, total = records.anomalies("acme", AnomalyFilter())
    assert ([each.severity for each in found], total) == ([2, 1, 1, 0, 0], 5)
    assert {each.fleet for each in found} == {FLEET, there}


def test_incidents_are_ranked_by_severity_times_devices(records: Records) -> None:
    """The widest of equal severity first; each comes back equal."""
    records.add_run(run := a_run())
    incidents = [an_incident(number, run, devices) for number, devices in ((1, 2), (2, 9), (3, 4))]
    records.persist_scored(run, "s", anomaly_rows([]), incidents)
    assert records.incidents("acme", fleet="field", limit=2) == ([incidents[1], incidents[2]], 3)
    assert records.incidents("acme", run_id="run-1", offset=2) == ([incidents[0]], 3)
    assert records.incident("acme", "incident-3") == incidents[2]
    with pytest.raises(InvalidInput, match="incident-5"):
        records.persist_scored(run, "s5", anomaly_rows([]), [an_incident(5, a_run("run-9"))])


def _breaks_off(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from rows.to_batches()
    raise OSError("the scores could not be read on")


def test_rows_that_break_off_leave_nothing(records: Records) -> None:
    """Whole or not at all, for scored sets and for versions; the version before stays in force."""
    records.add_run(run := a_run())
    persisted(records, run, "s1", 3)
    records.add_baseline_version(a_version("d1"), baseline_rows(some_baselines()))
    with pytest.raises(OSError, match="read on"):
        records.persist_scored(run, "s2", _breaks_off(anomaly_rows([an_anomaly(99, run)])), [])
    with pytest.raises(OSError, match="read on"):
        records.add_baseline_version(a_version("d2"), _breaks_off(baseline_rows(some_baselines())))
    assert records.anomalies("acme", AnomalyFilter(), limit=0)[1] == 3
    with pytest.raises(NotFound):
        records.anomaly("acme", "anomaly-0099")
    in_force = records.baseline_version(FLEET)
    assert in_force is not None
    assert (in_force.version, in_force.expired) == (1, None)


def _with(rows: pa.Table, name: str, values: list[object]) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("severity", [1.0, float("nan")], "severity"),
        ("score", [1.0, float("-inf")], "score"),
        ("severity", [1.0, 100.5], "severity"),
        ("confidence", [-0.1, 0.5], "confidence"),
        ("device", ["a", None], "device"),
        ("id", ["a", "a"], "refuse"),
        ("time", ["soon", "late"], "types"),
    ],
)
def test_rows_that_cannot_be_anomalies_are_refused_whole(records: Records, name: str, values: list[object], why: str) -> None:
    """A column's gaps, types and ranges are checked, and nothing of the set is stored."""
    records.add_run(run := a_run())
    rows = _with(anomaly_rows([an_anomaly(1, run), an_anomaly(2, run)]), name, values)
    with pytest.raises(InvalidInput, match=why):
        records.persist_scored(run, "s1", rows, [])
    assert records.anomalies("acme", AnomalyFilter()) == ([], 0)


def test_rows_with_other_columns_are_refused(records: Records) -> None:
    """A missing column is named, and an unknown one is not dropped in silence."""
    records.add_run(run := a_run())
    rows = anomaly_rows([an_anomaly(1, run)])
    for wrong in (rows.drop_columns(["site"]), rows.append_column("colour", pa.array(["red"]))):
        with pytest.raises(InvalidInput, match="columns"):
            records.persist_scored(run, "s1", wrong, [])


def test_batches_dictionaries_and_narrow_integers_are_taken_as_they_are(records: Records) -> None:
    """Producers need not convert: the store casts, and finds the worst across batches."""
    records.add_run(run := a_run())
    anomalies = [an_anomaly(number, run) for number in range(6)]
    rows = anomaly_rows(anomalies)
    rows = _with(rows, "device", rows["device"].dictionary_encode().combine_chunks().to_pylist())
    rows = rows.set_column(1, "device", rows["device"].dictionary_encode())
    rows = rows.set_column(12, "detector_version", pa.array([1] * 6, pa.int8()))
    assert records.persist_scored(run, "s1", iter(rows.to_batches(max_chunksize=2)), []) == 6
    assert records.anomalies("acme", AnomalyFilter()) == (anomalies[::-1], 6)


def test_anomalies_in_many_packets_are_found_by_filter_page_and_id(records: Records) -> None:
    """More than fit in one packet of what is searched and of ids: counts, order, pages, ids and near matches are right."""
    records.add_run(run := a_run())
    few = [an_anomaly(number, run) for number in range(8)]
    many = anomaly_rows(few).take(pa.array(np.arange(40_000) % 8))
    ids = [f"a-{number * 7919 % 40_009:05x}" for number in range(40_000)]
    many = _with(many, "id", list(ids))
    records.persist_scored(run, "s1", iter(many.to_batches(max_chunksize=15_000)), [])
    severity = many["severity"].to_pylist()
    order = sorted(range(40_000), key=list(zip(severity, ids, strict=True)).__getitem__, reverse=True)
    for offset in (0, 16_380, 32_760, 39_990):
        found, total = records.anomalies("acme", AnomalyFilter(), limit=20, offset=offset)
        assert ([each.id for each in found], total) == ([ids[at] for at in order[offset : offset + 20]], 40_000)
    own = [at for at in order if many["device"][at].as_py() == few[3].device]
    found, total = records.anomalies("acme", AnomalyFilter(device=few[3].device), limit=3, offset=4_000)
    assert ([each.id for each in found], total) == ([ids[at] for at in own[4_000:4_003]], len(own))
    for at in (0, 12_345, 39_999, ids.index(min(ids)), ids.index(max(ids))):
        assert records.anomaly("acme", ids[at]) == few[at % 8].model_copy(update={"id": ids[at]})
    for missing in ("a-", "a-zzz", "b", ids[7] + "0"):
        with pytest.raises(NotFound):
            records.anomaly("acme", missing)
    with pytest.raises(NotFound, match=ids[9]):
        records.anomaly("acme", ids[9] + "x")


def test_an_id_that_comes_in_two_batches_is_refused(records: Records) -> None:
    """Unique within the set, however it is handed over."""
    records.add_run(run := a_run())
    rows = anomaly_rows([an_anomaly(1, run), an_anomaly(2, run), an_anomaly(1, run)])
    with pytest.raises(InvalidInput, match="there twice"):
        records.persist_scored(run, "s1", iter(rows.to_batches(max_chunksize=1)), [])
    assert records.anomalies("acme", AnomalyFilter()) == ([], 0)
