"""What a question names, however a fleet spells its devices."""

import pytest

from agent.offline.entities import entities_in, masked


@pytest.mark.parametrize(
    ("said", "device"),
    [
        ("Why was d02 flagged?", "d02"),
        ("why is pump-7:b reported", "pump-7:b"),
        ("Why was d1042 flagged?", "D-1042"),
        ("why was handheld 1042 flagged", "D-1042"),
        ("Why was store-017 flagged?", None),
        ("Why was store17 flagged?", None),
        ("why is site-12 reported", None),
        ("Why was v2.1 flagged?", None),
        ("why was 2pm flagged", None),
        ("Why was i-0a1b2c3d flagged?", None),
        ("why was it flagged last night", None),
    ],
)
def test_what_was_flagged_is_a_device_unless_it_is_something_else(said, device):
    """Whatever it is called; elsewhere in a sentence such a name would pass for a model."""
    assert entities_in(said).device == device
    assert ("devicename" in masked(said)) is (device is not None)
