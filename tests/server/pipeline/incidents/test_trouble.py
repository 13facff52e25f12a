"""Trouble of the telemetry itself: found from who was there when, and from what the store says of arrivals."""

from dataclasses import replace

import pytest

from server.domain.telemetry import Fleet, FleetHealth, Rejection
from server.pipeline.trouble import find_trouble


def _found(plants, health=None, *, drop=()):
    planted = plants.mixed_fleet()
    presence = planted.presence(planted.members())
    keep = [place for place in range(len(presence.bucket)) if place not in drop]
    presence = replace(presence, bucket=presence.bucket[keep], rows_in_bucket=presence.rows_in_bucket[keep])
    return list(find_trouble(presence, (), health))


def test_a_steady_fleet_has_no_trouble(plants):
    """Nothing silent, nothing missing."""
    assert _found(plants) == []


def test_hours_without_rows_are_a_gap_of_the_fleet(plants):
    """Five hours of no rows at all, from the hundredth on; two hours would be none."""
    (gap,) = _found(plants, drop=range(100, 105))
    assert (gap.signature, gap.severity, gap.devices_in_scope) == ("gap", 100.0, 600)
    assert gap.span == (plants.START + 100 * plants.HOUR, plants.START + 105 * plants.HOUR)
    assert _found(plants, drop=range(100, 102)) == []


@pytest.mark.parametrize(
    ("late", "future", "signatures"), [(0.05, 0, []), (0.4, 0, ["late"]), (0.0, 500, ["clock"]), (0.4, 500, ["late", "clock"])]
)
def test_late_rows_and_wrong_clocks_are_named(plants, late, future, signatures):
    """From a tenth of rows late, and from one in a hundred with an impossible time, on."""
    rejected = {Rejection.FUTURE: future} if future else {}
    health = FleetHealth(
        fleet=Fleet(), rows_in=10_000, rows=9_000, devices=600, first=None, last=None, rejected=rejected, late_share=late
    )
    assert [one.signature for one in _found(plants, health)] == signatures
