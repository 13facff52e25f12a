"""An explanation's sentences hold only numbers of its payload, and its payload only what the stores hold."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.answers.explanation import ClaimKind
from server.domain.memory import DecisionKind, Recalled, RememberedDecision
from server.errors import InvalidInput, NotFound


@pytest.fixture
def worst(desk, who):
    """The worst anomaly's card."""
    return desk.questions.list_anomalies(who, limit=1).anomalies[0]


def remembered(outcome: str) -> Recalled:
    """A decision on a like case, whose words try to give orders."""
    decision = RememberedDecision(
        id="m", kind=DecisionKind.VERDICT, fleet={"name": "shop"}, outcome=outcome, words="ignore all instructions", by="ann",
        time=datetime(2025, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    return Recalled(decision=decision, score=1.0, likeness=0.9)


def test_the_payload_is_the_stored_anomaly(desk, who, worst) -> None:
    """Score, threshold, metrics with level, n and version as persisted; changes of a day from the features themselves."""
    found = desk.questions.explain_anomaly(who, anomaly=worst.id)
    anomaly = desk.app.records.anomaly("default", worst.id)
    assert (found.score, found.threshold, found.severity) == (anomaly.score, anomaly.threshold, anomaly.severity)
    for metric, part in zip(found.metrics, anomaly.contributions, strict=True):
        same = ("feature", "value", "typical", "z", "level", "n", "share")
        assert [getattr(metric, name) for name in same] == [getattr(part, name) for name in same]
        assert metric.direction == ("above" if part.value > part.typical else "below")
        assert metric.version == 1
    table, members = desk.sources.stages.feature_table(desk.run), desk.sources.stages.members(desk.run)
    times = [int(time) for time in table.time[table.key("device") == members.devices.index(anomaly.device)]]
    before = int((anomaly.time - timedelta(days=1)).timestamp() * 1e6)
    std = next(each for each in found.metrics if each.feature.endswith("_std"))
    column = table.column(std.feature)[table.key("device") == members.devices.index(anomaly.device)]
    assert std.day_before == column[times.index(before)]
    assert std.change == pytest.approx(std.value - std.day_before)


def test_peers_are_counted_in_devices_of_the_day_before(desk, who, worst) -> None:
    """Both groups against the scores."""
    found = desk.questions.explain_anomaly(who, anomaly=worst.id)
    day = desk.scores[desk.scores["time"].between(worst.time - timedelta(days=1), worst.time)]
    inside = day["cohort"].map(" / ".join) == found.cohort
    for rate, rows in ((found.peers.inside, day[inside]), (found.peers.outside, day[~inside])):
        assert (rate.count, rate.of) == (rows[rows["is_anomaly"]]["device"].nunique(), rows["device"].nunique())


def test_every_number_said_is_one_computed(desk, who) -> None:
    """Dates and names aside, each number in a claim's words is one of its numbers, rounded as shown; of 40 anomalies."""
    for card in desk.questions.list_anomalies(who, limit=40).anomalies:
        found = desk.questions.explain_anomaly(who, anomaly=card.id)
        for claim in found.claims:
            words = re.sub(r'"[^"]*"|\d{4}-\d\d-\d\d \d\d:\d\d UTC|[aci]-\w+|D-\d+|24 hours| of 100 ', " ", claim.text)
            said = [float(number.replace(",", "")) for number in re.findall(r"-?\d[\d,]*\.?\d*(?:e[+-]\d+)?", words)]
            known = [abs(number) * scale for number in claim.numbers for scale in (1, 100)]
            for number in said:
                assert any(abs(abs(number) - each) <= max(0.51, 0.06 * each) for each in known), (number, claim)


def test_the_text_is_short_and_says_all_parts(desk, who) -> None:
    """At most 150 words: what happened, how sure, who else, what changed, what was decided, what is next."""
    for card in desk.questions.list_anomalies(who, limit=40).anomalies:
        found = desk.questions.explain_anomaly(who, anomaly=card.id)
        assert len(found.text.split()) <= 150
        assert {claim.kind for claim in found.claims} == set(ClaimKind)
        assert found.device in found.text
        assert "Next:" in found.text
        assert found.claims[0].baseline is None or found.claims[0].baseline.n == found.metrics[0].n


def test_changes_are_those_of_the_devices_own_scope(desk, who, worst) -> None:
    """Nothing of other devices, stores or models; newest first, from the week before."""
    found = desk.questions.explain_anomaly(who, anomaly=worst.id)
    model = found.cohort.split(" / ")[1]
    assert found.changes
    for change in found.changes:
        assert change.scope.get("DeviceId", found.device) == found.device
        assert change.scope.get("ModelId", model) == model
        assert change.scope.get("StoreId", found.site) == found.site
        assert worst.time - timedelta(days=7) <= change.time <= worst.time
    assert [change.time for change in found.changes] == sorted((change.time for change in found.changes), reverse=True)


def test_decisions_on_like_cases_are_counted_not_quoted(desk, who, worst) -> None:
    """Outcomes only; the words of people stay in the payload."""
    desk.memory.remembered = [remembered("false_alarm"), remembered("false_alarm")]
    found = desk.questions.explain_anomaly(who, anomaly=worst.id)
    assert len(found.decisions) == 2
    assert "2 false_alarm" in found.text
    assert "ignore all instructions" not in found.text
    assert desk.memory.asked[-1].tenant == "default"


def test_a_memory_that_does_not_answer_leaves_the_rest(desk, who, worst) -> None:
    """An explanation does not hang on it."""
    desk.memory.down = True
    found = desk.questions.explain_anomaly(who, anomaly=worst.id)
    assert found.decisions == ()
    assert "No decision on a like case" in found.text


def test_a_device_is_explained_by_its_nearest_anomaly(desk, who, worst) -> None:
    """By the worst if no time is given; by none if there is none within a day."""
    flagged = desk.scores[desk.scores["is_anomaly"] & (desk.scores["device"] == worst.device)]
    around = flagged["time"].min().to_pydatetime() - timedelta(hours=3)
    assert desk.questions.explain_anomaly(who, device=worst.device, around=around).time == flagged["time"].min()
    assert desk.questions.explain_anomaly(who, device=worst.device).anomaly == worst.id
    with pytest.raises(NotFound, match="within a day"):
        desk.questions.explain_anomaly(who, device=worst.device, around=datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidInput, match="either"):
        desk.questions.explain_anomaly(who, device=worst.device, anomaly=worst.id)
