"""The sampling rhythm of a window: each device's median time between rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.storage.telemetry.reading import median_gaps


@given(st.lists(st.lists(st.integers(1, 10**13), max_size=8), max_size=6))
def test_each_device_has_the_median_of_its_own_gaps(gaps: list[list[int]]) -> None:
    """To the half microsecond; a device of one row has none."""
    device = np.repeat(np.arange(len(gaps), dtype=np.int32), [len(each) + 1 for each in gaps])
    time = np.concatenate([np.cumsum([5, *each]) for each in gaps]) if gaps else np.empty(0, np.int64)
    assert median_gaps(device, time).tolist() == [float(np.median(each)) for each in gaps if each]


@pytest.mark.parametrize("years", [1, 60])
def test_a_long_silence_among_many_devices_costs_microseconds_at_most(years: int) -> None:
    """Device and gap share 63 bits: where they do not fit, the gap's last ones are given up."""
    devices, hour = 200_000, 3_600_000_037
    device = np.repeat(np.arange(devices, dtype=np.int32), 2)
    time = np.tile([0, hour], devices)
    time[1] = years * 365 * 24 * hour
    found = median_gaps(device, time)
    np.testing.assert_allclose(found[1:], hour, atol=64)
    np.testing.assert_allclose(found[0], time[1], atol=64)
