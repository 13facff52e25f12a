"""The knobs of a walk, told flat or in their groups."""

import pytest
from pydantic import BaseModel, ValidationError

from server.domain.settings import WalkSettings


def test_no_two_groups_share_the_name_of_a_setting() -> None:
    """Else a flat name would mean two things."""
    defaults = [field.default for field in WalkSettings.model_fields.values()]
    groups = [type(each).model_fields for each in defaults if isinstance(each, BaseModel)]
    names = [name for group in groups for name in group] + list(WalkSettings.model_fields)
    assert len(names) == len(set(names))


def test_flat_settings_land_in_their_groups_and_others_keep_their_default() -> None:
    """A setting of the walk itself is told beside those of its groups."""
    found = WalkSettings.from_flat({"min_rows": 30, "contamination": 0.1, "event_gap": 5, "fit_split": "train"})
    assert (found.baselines.min_rows, found.detector.contamination, found.events.event_gap) == (30, 0.1, 5)
    assert found.fit_split == "train"
    assert found.features == WalkSettings().features
    assert WalkSettings.from_flat({}) == WalkSettings()


@pytest.mark.parametrize("told", [{"min_row": 30}, {"contamination": 0.7}])
def test_an_unknown_setting_and_one_out_of_bounds_are_refused_by_name(told: dict[str, float]) -> None:
    """Nothing is dropped or clipped."""
    with pytest.raises(ValidationError, match=next(iter(told))):
        WalkSettings.from_flat(told)
