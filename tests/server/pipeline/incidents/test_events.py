"""When flagged rows become an event: where it opens, how long it lasts, and what is too little for one."""

import numpy as np
import pyarrow as pa
import pytest

from server.domain.settings import EventSettings, WalkSettings
from server.domain.telemetry import Metric
from server.pipeline.events import Events, find_events

HOUR = 3_600_000_000


def flagged(rows: list[tuple[int, int, float]]) -> pa.Table:
    """Rows of (device, hour, severity), all of one metric."""
    device, hour, severity = (np.array(column) for column in zip(*rows, strict=True))
    nobody = np.full(len(rows), -1, np.int32)
    return pa.table(
        {
            "device": device.astype(np.int32), "cohort": nobody, "store": nobody, "customer": nobody, "time": hour * HOUR,
            "severity": severity.astype(float), "top_metric": ["drain"] * len(rows), "contributions": ["[]"] * len(rows),
        }
    )  # fmt: skip


def events(rows: list[tuple[int, int, float]], **knobs: float) -> Events:
    return find_events(flagged(rows), (Metric(name="drain"),), HOUR, EventSettings.model_validate(knobs))


def spans(found: Events) -> list[tuple[int, int]]:
    return [(int(start) // HOUR, int(end) // HOUR) for start, end in zip(found.start, found.end, strict=True)]


MILD = [(0, hour, 55.0) for hour in range(10, 16)]
RISING = [(0, 30, 55.0), (0, 31, 62.0), (0, 32, 66.0), (0, 33, 52.0)]


def test_an_event_needs_one_row_at_the_upper_threshold_and_lasts_while_rows_are_flagged() -> None:
    """The run-up and the fading belong to it; an event that never gets there is none, and its rows are in none."""
    found = events(MILD + RISING, event_opens=65)
    assert spans(found) == [(30, 33)]
    assert found.of_row.tolist() == [-1] * 6 + [0] * 4


def test_by_default_any_flagged_row_opens_an_event() -> None:
    """The upper threshold is the threshold unless it is set."""
    assert spans(events(MILD + RISING)) == [(10, 15), (30, 33)]


def test_fewer_rows_than_the_minimum_are_an_event_only_if_one_is_severe() -> None:
    """Two mild rows are a blip; one of 70 is not."""
    assert spans(events([(0, 1, 60.0), (0, 2, 60.0), (0, 20, 70.0)])) == [(20, 20)]
    assert spans(events([(0, 1, 60.0), (0, 2, 60.0), (0, 20, 70.0)], event_rows=2, event_alone=100)) == [(1, 2)]


@pytest.mark.parametrize(("gap", "expected"), [(3, [(1, 7)]), (2, [(5, 7)])])
def test_a_score_that_flickers_is_one_event(gap: int, expected: list[tuple[int, int]]) -> None:
    """Rows up to so many intervals apart belong together; beyond, the first two rows are too few to count."""
    assert spans(events([(0, hour, 60.0) for hour in (1, 2, 5, 6, 7)], event_gap=gap)) == expected


def test_events_of_two_devices_stay_apart() -> None:
    """However close in time."""
    assert spans(events([(0, 1, 80.0), (1, 2, 80.0)])) == [(1, 1), (2, 2)]


def test_a_walks_settings_reach_its_incidents(plants) -> None:
    """An incident of six mild hours is gone where events open higher."""
    planted = plants.Planted()
    device = planted.add(1, ("maker", "m", "1"))[0]
    planted.trouble(device, 20, severity=60.0)
    assert len(planted.grouped().incidents) == 1
    assert planted.grouped(settings=WalkSettings(events=EventSettings(event_opens=65))).incidents == ()
