"""The conformance suite of `RetentionRecords`: old runs go whole, and not while anything stands on them, on every store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.audit import AuditEntry
from server.domain.baseline import Baseline, BaselineVersion, DetectorVersion, Level
from server.domain.run import REQUIRES, Run, SourceSpec, Stage, StageRecord, StageStatus
from server.domain.settings import WalkSettings
from server.domain.suggestion import Decision, Suggestion, SuggestionKind
from server.domain.telemetry import Fleet
from server.errors import NotFound
from server.storage.columns import anomaly_rows, baseline_rows
from server.storage.sql import SqlRecords

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FLEET = Fleet(tenant="acme", name="field")


def a_run(day: int, *, stages: Sequence[Stage] = tuple(Stage), baselines: str = "") -> Run:
    """A run of that day with these stages done."""
    run = Run(
        id=f"run-{day}",
        fleet=FLEET,
        settings=WalkSettings(),
        created=NOW + timedelta(days=day),
        source=SourceSpec(connector="files", location="x.csv"),
    )
    for stage in stages:
        digest = (baselines or f"b{day}") if stage is Stage.BASELINES else f"{stage.value}-{day}"
        consumed = {need.value: run.stages[need].digest for need in REQUIRES[stage]}
        made = {"stage": stage, "status": StageStatus.DONE, "digest": digest, "consumed": consumed}
        run = run.with_record(StageRecord.model_validate(made | {"started": NOW, "finished": NOW}))
    return run


def entry(subject: str) -> AuditEntry:
    return AuditEntry(tenant="acme", time=NOW, actor="ann", channel="test", action="prune_run", subject=subject)


def walked(records: SqlRecords, day: int, *, baselines: str = "") -> Run:
    """A stored run with a baseline version and a scored set of its own."""
    run = a_run(day, baselines=baselines)
    records.add_run(run)
    version = BaselineVersion(
        fleet=FLEET, version=1, run=run.id, digest=run.stages[Stage.BASELINES].digest, artifact="a", created=NOW
    )
    median = Baseline(feature="x_mean", level=Level.DEVICE, group="d1", median=1.0, scale=0.1, n=9)
    records.add_baseline_version(version, baseline_rows([median]))
    records.persist_scored(run, f"s{day}", anomaly_rows([]), [])
    return run


def remove(records: SqlRecords, *runs: Run) -> Sequence[str]:
    return records.retention.remove_runs([(run, entry(run.id)) for run in runs])


def a_suggestion(run: Run, base: int, name: str = "s-1") -> Suggestion:
    about = {"id": name, "fleet": FLEET, "run": run.id, "kind": SuggestionKind.ROLLBACK, "base_version": base}
    about |= {"reason": "why", "proposer": "ann", "created": NOW, "expires": NOW + timedelta(days=400)}
    return Suggestion.model_validate(about)


def test_a_run_that_nothing_needs_goes_with_its_scored_sets(records: SqlRecords) -> None:
    """And its audit entry is written with it."""
    old, new = walked(records, 1), walked(records, 2)
    assert remove(records, old) == ["run-1"]
    with pytest.raises(NotFound):
        records.run("acme", "run-1")
    assert records.run("acme", "run-2") == new
    assert [each.subject for each in records.audit("acme")] == ["run-1"]
    assert records.retention.removed_runs("acme") == {"run-1"}
    assert records.retention.removed_runs("rival") == frozenset()
    assert records.verify_audit("acme") == 1


def test_what_is_shown_in_force_or_under_way_is_needed(records: SqlRecords) -> None:
    """Each with the reason that a person reads."""
    walked(records, 1)
    shown = walked(records, 2)
    under_way = a_run(3, stages=[Stage.INGEST])
    records.add_run(under_way)
    detector = {"fleet": FLEET, "version": 1, "run": "run-1", "detector": "robust_z", "digest": "t", "artifact": "a"}
    detector |= {"baseline_version": 1, "threshold": -0.5, "calibration": "c", "created": NOW}
    records.add_detector_version(DetectorVersion.model_validate(detector))
    assert records.retention.needed(FLEET) == {
        "run-1": "it made the detector in force",
        "run-2": "it is the newest finished run",
        "run-3": "it is not finished, and there is no newer run that is",
    }
    assert remove(records, shown, under_way) == []


def test_the_run_of_a_suggestion_is_needed_until_that_is_decided_or_stale(records: SqlRecords) -> None:
    """Pending or approved; not once it is rejected, or other baselines are in force."""
    old = walked(records, 1)
    walked(records, 2)
    suggestion = a_suggestion(old, 2)
    records.corrections.add_suggestion(suggestion, entry("s-1"))
    assert (remove(records, old), records.retention.needed(FLEET)["run-1"]) == ([], "suggestion s-1 is open")
    said = {"suggestion": "s-1", "digest": suggestion.digest, "approved": False, "by": "bob", "channel": "cli"}
    decision = Decision.model_validate(said | {"time": NOW, "expires": NOW + timedelta(days=1)})
    records.corrections.decide("acme", decision, entry("s-1"))
    records.corrections.add_suggestion(a_suggestion(old, 1, "s-2"), entry("s-2"))
    assert remove(records, old) == ["run-1"]


def test_a_run_that_was_changed_since_it_was_read_stays(records: SqlRecords) -> None:
    """Somebody walks it."""
    old = walked(records, 1)
    walked(records, 2)
    records.save_run(old)
    assert remove(records, old) == []


def test_statistics_stay_while_a_kept_run_was_walked_on_them(records: SqlRecords) -> None:
    """A later run may have found the same baselines, so that the version is an earlier run's."""
    first = walked(records, 1, baselines="same")
    same = walked(records, 2, baselines="same")
    walked(records, 3)
    assert remove(records, first) == ["run-1"]
    assert len(records.baselines(FLEET, 1)) == 1
    assert remove(records, same) == ["run-2"]
    assert (records.baselines(FLEET, 1), len(records.baselines(FLEET, 2))) == ([], 1)
    version = records.baseline_version(FLEET, 1)
    assert version is not None
    assert version.run == "run-1"


def test_fleets_are_those_that_have_a_run(records: SqlRecords) -> None:
    """Of the tenant alone."""
    walked(records, 1)
    assert (records.retention.fleets("acme"), records.retention.fleets("rival")) == ([FLEET], [])


def test_removing_nothing_changes_nothing(records: SqlRecords) -> None:
    """Not even the audit trail."""
    assert remove(records) == []
    assert records.audit("acme") == []
