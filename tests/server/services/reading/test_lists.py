"""Lists of incidents and anomalies say what the stores hold, and expected rules mute without taking anything away."""

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.anomaly import AnomalyFilter, Incident
from server.domain.feedback import ExpectedRule, Feedback, Verdict
from server.domain.identity import Principal, Scope
from server.errors import InvalidInput, NotAllowed, NotFound, StageNotReady


def incidents(desk) -> list[Incident]:
    """All of the run's incidents as stored."""
    return list(desk.app.records.incidents("default", run_id=desk.run.id, limit=1000)[0])


def biggest(desk) -> Incident:
    """The incident of most anomalies, which several answers are about."""
    return max(incidents(desk), key=lambda each: each.anomalies)


def rule(desk, **about) -> ExpectedRule:
    """A rule over the whole fleet and all time unless said otherwise."""
    whole = {
        "id": "r-1", "fleet": desk.run.fleet, "scope": {}, "metrics": (), "start": datetime(2025, 1, 1, tzinfo=UTC),
        "until": datetime(2026, 1, 1, tzinfo=UTC), "ceiling": 100, "author": "ann", "created": datetime(2025, 3, 1, tzinfo=UTC),
    }  # fmt: skip
    return ExpectedRule.model_validate(whole | about)


def verdict_on(desk, anomaly, verdict: Verdict) -> Feedback:
    """One verdict on one anomaly."""
    return Feedback(
        id=f"f-{anomaly.id}", act="act-1", fleet=desk.run.fleet, run=desk.run.id, verdict=verdict, anomaly=anomaly.id,
        device=anomaly.device, time=anomaly.time, incident=anomaly.incident, author="ann", channel="cli",
        created=datetime(2025, 3, 17, tzinfo=UTC),
    )  # fmt: skip


def test_pages_of_incidents_together_are_the_stored_ones(desk, who) -> None:
    """Page by page in the store's order, with the total and whether there is more on each."""
    stored = [each.id for each in incidents(desk)]
    pages = [desk.questions.list_incidents(who, limit=20, offset=start) for start in range(0, len(stored), 20)]
    assert [card.id for page in pages for card in page.incidents] == stored
    assert {page.total for page in pages} == {len(stored)}
    assert [page.truncated for page in pages] == [True] * (len(pages) - 1) + [False]
    assert f"{len(stored)} incidents" in pages[0].summary
    assert pages[0].telemetry_until == desk.scores["time"].max()


def test_incidents_are_narrowed_by_device_kind_and_time(desk, who) -> None:
    """Each filter leaves exactly the stored incidents that pass it."""
    stored, some = incidents(desk), biggest(desk)
    of_device = desk.questions.list_incidents(who, device=some.devices[0], limit=500)
    assert {card.id for card in of_device.incidents} == {each.id for each in stored if some.devices[0] in each.devices}
    of_kind = desk.questions.list_incidents(who, kind=some.kind, limit=500)
    assert of_kind.total == sum(each.kind is some.kind for each in stored)
    since = datetime(2025, 3, 14)  # noqa: DTZ001 - a time without a zone is UTC
    later = desk.questions.list_incidents(who, since=since, limit=500)
    assert {card.id for card in later.incidents} == {each.id for each in stored if each.end >= since.replace(tzinfo=UTC)}
    assert later.window.first == since.replace(tzinfo=UTC)


def test_an_incident_whose_anomalies_are_all_expected_is_left_out_and_counted(desk, who) -> None:
    """It is there again when muted ones are asked for, and says which rule."""
    some = biggest(desk)
    total = len(incidents(desk))
    desk.corrections.kept_rules.append(rule(desk, scope={"device": some.devices[0]}, start=some.start, until=some.end))
    page = desk.questions.list_incidents(who, limit=500)
    assert some.id not in {card.id for card in page.incidents}
    assert page.total + page.muted_left_out == total
    shown = desk.questions.list_incidents(who, limit=500, include_muted=True)
    assert shown.total == total
    assert {card.id: card.muted_by for card in shown.incidents}[some.id] == "r-1"
    assert desk.questions.get_incident(who, some.id).muted_by == desk.corrections.kept_rules[0]


def test_an_incident_with_one_anomaly_worse_than_expected_is_not_muted(desk, who) -> None:
    """The ceiling is the severity of what was judged: its worst anomaly alone is above it."""
    some = biggest(desk)
    wanted = AnomalyFilter(run=desk.run.id, incident=some.id)
    worst, second = desk.app.records.anomalies("default", wanted, limit=2)[0]
    about = {"scope": {"device": some.devices[0]}, "ceiling": (worst.severity + second.severity) / 2}
    desk.corrections.kept_rules.append(rule(desk, **about))
    page = desk.questions.list_incidents(who, limit=500)
    assert some.id in {card.id for card in page.incidents}
    assert desk.questions.get_anomaly(who, worst.id).muted_by is None
    assert desk.questions.get_anomaly(who, second.id).muted_by is not None


@pytest.mark.parametrize("part", ["metrics", "scope", "site", "until", "ended", "cohort"])
def test_a_rule_mutes_only_its_scope_metrics_and_time(desk, who, part) -> None:
    """A rule that fits an anomaly mutes it; the same rule with one part that does not fit does not."""
    (anomaly,) = desk.app.records.anomalies("default", AnomalyFilter(run=desk.run.id), limit=1)[0]
    before = anomaly.time - timedelta(seconds=1)
    fits = {
        "scope": {"device": anomaly.device, "site": anomaly.site, "ModelId": anomaly.cohort[1]},
        "metrics": (anomaly.top_metric,),
        "until": anomaly.time,
    }
    misfit = {
        "metrics": {"metrics": ("NoSuchMetric",)},
        "scope": {"scope": {"device": "D-none"}},
        "site": {"scope": {"site": "store-none"}},
        "cohort": {"scope": {"ModelId": "TC00"}},
        "until": {"until": before},
        "ended": {"ended": before},
    }[part]
    desk.corrections.kept_rules.append(rule(desk, **fits))
    assert desk.questions.get_anomaly(who, anomaly.id).muted_by is not None
    desk.corrections.kept_rules[:] = [rule(desk, **(fits | misfit))]
    assert desk.questions.get_anomaly(who, anomaly.id).muted_by is None


def test_anomalies_are_those_stored_worst_first(desk, who) -> None:
    """Total, order and each filter against the scores that they were taken from."""
    flagged = desk.scores[desk.scores["is_anomaly"]]
    page = desk.questions.list_anomalies(who, limit=100)
    assert page.total == len(flagged)
    assert [card.severity for card in page.anomalies] == sorted(flagged["severity"], reverse=True)[:100]
    some = flagged.iloc[0]
    narrowed = desk.questions.list_anomalies(
        who, device=some["device"], metric=some["top_metric"], min_severity=55, since=datetime(2025, 3, 8, tzinfo=UTC)
    )
    wanted = flagged[
        (flagged["device"] == some["device"])
        & (flagged["top_metric"] == some["top_metric"])
        & (flagged["severity"] >= 55)
        & (flagged["time"] >= "2025-03-08")
    ]
    assert narrowed.total == len(wanted)


def test_a_verdict_shows_on_the_anomaly_and_counts_in_its_incident(desk, who) -> None:
    """Judged and unjudged add up to the incident's anomalies; metrics do too."""
    some = biggest(desk)
    anomalies = desk.app.records.anomalies("default", AnomalyFilter(run=desk.run.id, incident=some.id), limit=3)[0]
    desk.corrections.verdicts += [verdict_on(desk, each, Verdict.FALSE_ALARM) for each in anomalies]
    detail = desk.questions.get_incident(who, some.id)
    assert detail.verdicts == {Verdict.FALSE_ALARM: 3}
    assert detail.unjudged == some.anomalies - 3
    assert sum(each.anomalies for each in detail.metrics) == some.anomalies
    assert len(detail.notes) == 1
    assert desk.questions.get_anomaly(who, anomalies[0].id).verdict == desk.corrections.verdicts[0]
    listed = desk.questions.list_anomalies(who, incident=some.id)
    assert sum(card.verdict is Verdict.FALSE_ALARM for card in listed.anomalies) == 3


def test_unknown_names_are_refused_with_near_ones(desk, who) -> None:
    """A misspelt name never looks like a device without anomalies."""
    some = biggest(desk)
    for ask, near in (
        (lambda: desk.questions.list_anomalies(who, device="D1024"), "D-1024"),
        (lambda: desk.questions.list_anomalies(who, metric="OflineTime"), "OfflineTime"),
        (lambda: desk.questions.list_anomalies(who, incident=some.id[:-1] + "x"), some.id),
        (lambda: desk.questions.get_incident(who, some.id[:-1] + "x"), some.id),
        (lambda: desk.questions.list_incidents(who, fleet="shopp"), "shop"),
        (lambda: desk.questions.list_incidents(who, device="D1024"), "D-1024"),
    ):
        with pytest.raises(NotFound) as refusal:
            ask()
        assert near in refusal.value.near
    with pytest.raises(InvalidInput, match="limit"):
        desk.questions.list_incidents(who, limit=0)


def test_another_tenants_things_do_not_exist(desk, who) -> None:
    """The rival's fleet has the same name, and neither side sees the other's rows, incidents or anomalies."""
    rival = Principal(name="eve", tenant="rival")
    own = desk.questions.list_anomalies(who)
    assert desk.questions.list_anomalies(rival).total != own.total
    with pytest.raises(NotFound):
        desk.questions.get_anomaly(rival, own.anomalies[0].id)
    with pytest.raises(NotFound):
        desk.questions.get_incident(rival, biggest(desk).id)
    with pytest.raises(NotFound):
        desk.questions.list_incidents(rival, run=desk.run.id)
    with pytest.raises(StageNotReady, match="ingest_telemetry"):
        desk.questions.check_data_health(Principal(name="eve", tenant="nobody"))


def test_who_may_not_read_is_told_nothing(desk) -> None:
    """Every question asks for the scope before anything else."""
    blind = Principal(name="eve", scopes=frozenset({Scope.FEEDBACK}))
    for name in [each for each in dir(desk.questions) if not each.startswith("_")]:
        extra = {"query_telemetry": ["select 1"], "get_incident": ["i"], "get_anomaly": ["a"]}.get(name, [])
        extra = {"compare_device_with_peers": ["d"], "get_device_timeline": ["d", "m"]}.get(name, extra)
        with pytest.raises(NotAllowed, match="read"):
            getattr(desk.questions, name)(blind, *extra)
