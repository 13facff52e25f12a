"""Rankings, distributions, drift, detector, baselines, health and the overview against figures taken from the stores."""

from datetime import UTC, datetime

import numpy as np
import pytest

from server.domain.baseline import Level
from server.domain.feedback import ExpectedRule
from server.domain.run import SourceSpec, Stage
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import InvalidInput, NotFound, StageNotReady
from server.services.walk import Walk


@pytest.mark.parametrize("by", ["store", "device", "cohort", "ModelId", "osversionid"])
def test_groups_are_ranked_by_anomalous_rows_over_rows(desk, who, by) -> None:
    """Every group's four numbers, worst first, adding up to the fleet's."""
    found = desk.questions.rank_groups(who, by=by, limit=500)
    columns = {"ModelId": 1, "osversionid": 2}
    key = desk.scores["cohort"].map(lambda cohort: cohort[columns[by]] if by in columns else " / ".join(cohort))
    key = desk.scores[by] if by in ("store", "device") else key
    for group in found.groups:
        rows = desk.scores[key == group.group]
        flagged = rows[rows["is_anomaly"]]
        assert (group.rows, group.anomalies) == (len(rows), len(flagged))
        assert (group.devices, group.affected) == (rows["device"].nunique(), flagged["device"].nunique())
        assert group.rate == len(flagged) / len(rows)
        assert not group.anomalies or group.worst_metric in set(flagged["top_metric"].mode())
    rates = [group.rate for group in found.groups]
    assert rates == sorted(rates, reverse=True)
    assert sum(group.rows for group in found.groups) == found.whole.of == len(desk.scores)
    assert found.whole.count == desk.scores["is_anomaly"].sum()
    assert found.total == key.nunique()


def test_a_ranking_can_be_of_one_metric_and_some_time(desk, who) -> None:
    """Only anomalies of the metric count; rows are all rows of the time."""
    since = datetime(2025, 3, 12, tzinfo=UTC)
    found = desk.questions.rank_groups(who, metric="Download", since=since, limit=1)
    rows = desk.scores[desk.scores["time"] >= since]
    assert (found.whole.count, found.whole.of) == ((rows["top_metric"] == "Download").sum(), len(rows))
    assert found.truncated
    with pytest.raises(InvalidInput, match="Group by store"):
        desk.questions.rank_groups(who, by="planet")


def test_the_distribution_counts_every_row_once(desk, who) -> None:
    """Flagged rows are above severity 50 and the others are not."""
    found = desk.questions.get_score_distribution(who, bins=20)
    assert sum(found.normal) + sum(found.anomalous) == len(desk.scores)
    assert sum(found.anomalous) == desk.scores["is_anomaly"].sum() == found.flagged.count
    assert sum(found.anomalous[:10]) == sum(found.normal[10:]) == 0
    assert len(found.edges) == 21
    assert found.severity_quantiles["0.5"] == np.median(desk.scores["severity"])


def test_the_detector_is_the_runs_own(desk, who) -> None:
    """Version, threshold, share and settings as stored."""
    found = desk.questions.get_detector(who)
    assert found.version == desk.app.records.detector_version(desk.run.fleet)
    assert found.settings == desk.run.settings.detector
    assert (found.flagged.count, found.flagged.of) == (desk.scores["is_anomaly"].sum(), len(desk.scores))
    assert found.baseline_version == 1


def test_drift_is_of_the_last_quarter_and_paged(desk, who) -> None:
    """As many rows as there are since then, largest index first."""
    found = desk.questions.check_drift(who, limit=5)
    assert found.scores.n == (desk.scores["time"] >= found.since).sum()
    assert len(found.features) == 5
    assert found.total > 5
    assert found.truncated
    everything = desk.questions.check_drift(who, limit=500)
    assert everything.drifted == sum(each.psi >= 0.25 for each in everything.features)
    with pytest.raises(InvalidInput, match="no rows before"):
        desk.questions.check_drift(who, since=datetime(2030, 1, 1, tzinfo=UTC))


def test_baselines_are_the_stored_ones(desk, who) -> None:
    """Page by page; the total is said once it is known."""
    found = desk.questions.list_baselines(who, level=Level.GLOBAL, limit=500)
    stored = desk.app.records.baselines(desk.run.fleet, 1, level=Level.GLOBAL, limit=500)
    assert list(found.baselines) == list(stored)
    assert (found.total, found.truncated, found.in_force) == (len(stored), False, 1)
    page = desk.questions.list_baselines(who, limit=10)
    assert (len(page.baselines), page.total, page.truncated) == (10, None, True)
    with pytest.raises(NotFound, match="baseline version"):
        desk.questions.list_baselines(who, version=9)


def test_health_is_trusted_when_the_run_has_seen_everything(desk, who) -> None:
    """Counts are the store's; an hour after the last row nothing is stale."""
    found = desk.questions.check_data_health(who)
    assert found.health == desk.app.telemetry.health(desk.run.fleet)
    assert found.hours_since == pytest.approx(1.0)
    assert (found.trusted, found.stale, found.rows_since_run, found.pending) == (True, False, 0, ())
    assert found.run == desk.run.id


def test_health_warns_of_a_run_that_did_not_come_to_its_end(desk, who) -> None:
    """What is missing, which tool is next, and that answers are not of the newest telemetry; other answers name the tool."""
    fleet = Fleet(tenant="slow", name="shop")
    spec = SourceSpec(connector="synthetic", location="demo", options={"devices": "2", "days": "3"})
    walk = Walk(desk.app.records, desk.sources.stages, desk.sources.clock)
    walk.advance("slow", walk.start(fleet, spec, WalkSettings()).id, Stage.FEATURES)
    slow = who.model_copy(update={"tenant": "slow"})
    found = desk.questions.check_data_health(slow)
    assert (found.trusted, found.stale, found.next_tool) == (False, True, "compute_baselines")
    assert found.warnings[0] == "no run has persisted anomalies yet"
    assert desk.questions.overview(slow).detector is None
    with pytest.raises(StageNotReady, match="persist_anomalies"):
        desk.questions.list_incidents(slow)


def test_the_overview_adds_up(desk, who) -> None:
    """Days sum to all rows and anomalies; rules in force are counted."""
    desk.corrections.kept_rules.append(
        ExpectedRule(
            id="r", fleet=desk.run.fleet, scope={}, metrics=("x",), start=datetime(2025, 1, 1, tzinfo=UTC),
            until=datetime(2026, 1, 1, tzinfo=UTC), ceiling=10, author="ann", created=datetime(2025, 1, 1, tzinfo=UTC),
        )
    )  # fmt: skip
    found = desk.questions.overview(who)
    by_day = desk.scores.groupby(desk.scores["time"].dt.strftime("%Y-%m-%d"))
    assert {day.day: day.rows for day in found.by_day} == by_day.size().to_dict()
    assert {day.day: day.anomalies for day in found.by_day} == by_day["is_anomaly"].sum().to_dict()
    flagged = desk.scores[desk.scores["is_anomaly"]].groupby(desk.scores["time"].dt.strftime("%Y-%m-%d"))["device"].nunique()
    assert {day.day: day.devices for day in found.by_day if day.devices} == flagged.to_dict()
    assert (found.rules_in_force, found.suggestions_pending) == (1, 0)
    assert found.incidents.total == len(desk.app.records.incidents("default", run_id=desk.run.id, limit=1000)[0])


def test_with_several_fleets_one_has_to_be_named(desk, who) -> None:
    """The refusal names them."""
    walk = Walk(desk.app.records, desk.sources.stages, desk.sources.clock)
    for name in ("north", "south"):
        spec = SourceSpec(connector="synthetic", location="demo")
        walk.start(Fleet(tenant="two", name=name), spec, WalkSettings())
    with pytest.raises(InvalidInput, match="north, south"):
        desk.questions.list_incidents(who.model_copy(update={"tenant": "two"}))
