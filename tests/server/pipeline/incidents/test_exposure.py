"""The four numbers that a scope is judged by."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from server.pipeline.exposure import Counts


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_chance_is_the_upper_tail_of_the_hypergeometric_law(data: st.DataObject) -> None:
    """scipy's own, relative to 1e-8, from a handful of devices to a fleet."""
    exposed, unexposed = data.draw(st.integers(1, 20_000)), data.draw(st.integers(1, 20_000))
    inside, outside = data.draw(st.integers(0, exposed)), data.draw(st.integers(0, unexposed))
    counts = Counts(inside, exposed, outside, unexposed)
    expected = hypergeom.sf(inside - 1, exposed + unexposed, inside + outside, exposed)
    assert counts.chance == pytest.approx(expected, rel=1e-8, abs=1e-290)
