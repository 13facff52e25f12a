"""What a location and its options mean."""

from datetime import UTC, datetime

import pytest

from server.connectors.synthetic import PLANS, FleetPlan, SyntheticConnector
from server.errors import InvalidInput


def opened(location: str, **options: str) -> FleetPlan:
    return SyntheticConnector().open(location, options).plan


def test_no_location_means_the_demo():
    """`make demo` need not say which fleet."""
    assert opened("") == PLANS["demo"]


@pytest.mark.parametrize("location", list(PLANS))
def test_every_plan_opens_by_its_name(location: str):
    """easy, medium, hard, null and demo are locations."""
    assert opened(location).name == location


def test_options_change_the_plan():
    """devices, days, seed and start are taken as said."""
    plan = opened("easy", devices="12", days="9", seed="5", start="2024-02-01")
    assert (plan.devices, plan.days, plan.seed, plan.start) == (12, 9, 5, datetime(2024, 2, 1, tzinfo=UTC))


def test_faults_and_look_alikes_are_switched_off():
    """faults=off and lookalikes=off leave none."""
    plan = opened("demo", faults="off", lookalikes="off")
    assert plan.faults == {}
    assert plan.look_alikes == ()


def test_the_null_fleet_has_look_alikes_when_asked():
    """They are what a detector must not be fooled by, with no incident beside them."""
    plan = opened("null", lookalikes="on")
    assert plan.look_alikes == PLANS["demo"].look_alikes
    assert plan.incidents == ()


@pytest.mark.parametrize(
    ("location", "options", "named"),
    [
        ("demmo", {}, "'demo'"),
        ("demo", {"device": "3"}, "'devices'"),
        ("demo", {"look_alikes": "on"}, "'lookalikes'"),
        ("demo", {"devices": "many"}, "devices='many'"),
        ("demo", {"devices": "0"}, "devices"),
        ("demo", {"days": "1e3"}, "days='1e3'"),
        ("demo", {"seed": "-1"}, "seed='-1'"),
        ("demo", {"faults": "maybe"}, "faults='maybe'"),
        ("demo", {"start": "yesterday"}, "start='yesterday'"),
        ("demo", {"start": "2025-13-01"}, "start='2025-13-01'"),
        ("demo", {"days": "1"}, "days"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(location: str, options: dict[str, str], named: str):
    """The refusal names the option or the nearest right spelling."""
    with pytest.raises(InvalidInput, match=named):
        SyntheticConnector().open(location, options)


@pytest.mark.parametrize(
    "changes",
    [{"incidents": ("battery_fire",)}, {"look_alikes": ("fire_drill",)}, {"faults": {"gremlins": 0.1}}, {"interval": "PT7M"}],
)
def test_a_plan_of_unknown_kinds_is_refused(changes: dict[str, object]):
    """A misspelt kind is not silently a fleet without it."""
    with pytest.raises(ValueError, match=r"no (incident|look-alike|fault)|does not divide"):
        FleetPlan.model_validate(changes)
