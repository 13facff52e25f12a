"""A server that is to answer while it trains."""

import sys

import pytest

from server.tools.responsive import SWITCH_SECONDS, stay_responsive


def test_threads_give_way_sooner_and_the_detector_is_loaded_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval is the process's; what takes long to load is loaded when the thread is over."""
    before = sys.getswitchinterval()
    loaded: list[str] = []
    monkeypatch.setattr("server.tools.responsive.import_module", loaded.append)
    try:
        stay_responsive().join(10)
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        assert before > SWITCH_SECONDS
    finally:
        sys.setswitchinterval(before)
    assert loaded == ["server.detectors.hybrid"]
