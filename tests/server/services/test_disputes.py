"""Which verdicts may start a suggestion, and which have to wait."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from server.domain.anomaly import Incident, IncidentKind
from server.domain.feedback import Feedback, Verdict
from server.domain.telemetry import Fleet
from server.services.disputes import outside_young, undisputed

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def said(author: str, verdict: Verdict, device: str = "d1", incident: str = "i-1", hour: int = 0) -> Feedback:
    """A verdict on one row."""
    return Feedback(
        id=f"f-{author}-{device}-{hour}", act="act-1", fleet=Fleet(name="shop"), run="shop-1", verdict=verdict, device=device,
        time=NOON + timedelta(hours=hour), incident=incident, author=author, channel="cli", created=NOON,
    )  # fmt: skip


def ids(given: Sequence[Feedback]) -> set[str]:
    """What to tell verdicts by."""
    return {each.id for each in given}


def test_a_count_of_rows_does_not_outvote_a_person() -> None:
    """One person's many false alarms and another's one `true` are a tie: neither moves a baseline, and it says so."""
    many = [said("ann", Verdict.FALSE_ALARM, f"d{n}") for n in range(9)]
    true = said("bob", Verdict.TRUE)
    kept, refused = undisputed([*many, true])
    assert ids(kept) == {true.id}
    assert "1 people call incident i-1 a false alarm and 1 true" in refused[0].reason


def test_more_people_than_not_settle_it() -> None:
    """Two against one: the false alarms count."""
    given = [said("ann", Verdict.FALSE_ALARM), said("cem", Verdict.FALSE_ALARM, "d2"), said("bob", Verdict.TRUE, "d3")]
    assert undisputed(given) == (given, [])


def test_some_rows_of_young_trouble_wait_and_all_of_it_counts() -> None:
    """Below four fifths of its anomalies an open incident is not judged; `true` is never left out."""
    incident = Incident(
        id="i-1", fleet=Fleet(name="shop"), run="shop-1", kind=IncidentKind.DEVICE, title="drain in A", metrics=("load",),
        scope={}, start=NOON, end=NOON + timedelta(hours=9), severity=60, devices=("d1",), devices_in_scope=1,
        elsewhere_share=0, anomalies=10,
    )  # fmt: skip
    few = [said("ann", Verdict.FALSE_ALARM, hour=hour) for hour in range(7)]
    true, outside = said("bob", Verdict.TRUE, hour=8), said("ann", Verdict.FALSE_ALARM, "d2")
    kept, refused = outside_young([*few, true, outside], [incident])
    assert ids(kept) == {true.id, outside.id}
    assert "7 of the verdicts lie in incident i-1" in refused[0].reason
    most = [said("ann", Verdict.FALSE_ALARM, hour=hour) for hour in range(8)]
    assert outside_young(most, [incident]) == (most, [])
