"""Changes of the detector's settings, and how they are told."""

import pytest

from server.domain.settings import DetectorSettings
from server.services.tuning import changed, difference


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"contamination": 0.01, "alerts_per_day": None}, "contamination 0.03 → 0.01"),
        ({"alerts_per_day": 20.0}, "alerts_per_day unset → 20.0"),
        ({"domain_weights": {"battery": 0.5}}, "domain_weights unset → battery=0.5"),
    ],
)
def test_a_change_tells_only_what_is_not_the_same(change: dict[str, object], told: str) -> None:
    """Nothing is said to go from unset to unset."""
    now = DetectorSettings()
    assert difference(now, changed(now, change)) == told


def test_a_contamination_that_replaces_a_budget_says_so() -> None:
    """Both settings are told: the budget no longer holds."""
    now = DetectorSettings(alerts_per_day=20)
    then = changed(now, {"contamination": 0.05, "alerts_per_day": None})
    assert difference(now, then) == "contamination 0.03 → 0.05, alerts_per_day 20.0 → unset"
