"""Fleets that several tests read: made once a session, never changed."""

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pytest

from server.connectors.synthetic import PLANS, FleetPlan, SyntheticSource

Frames = Callable[..., pd.DataFrame]


def frame_of(source: SyntheticSource) -> pd.DataFrame:
    """All rows of a source in one frame."""
    return pa.Table.from_batches(source.batches()).to_pandas()


def quiet(**changes: object) -> FleetPlan:
    """A fleet with nothing in it but its structure, changed as said."""
    return FleetPlan.model_validate({**PLANS["null"].model_dump(), "seed": 4, "name": "quiet", **changes})


@pytest.fixture(scope="session")
def plan_with() -> Callable[..., FleetPlan]:
    return quiet


@pytest.fixture(scope="session")
def rows_of() -> Callable[[FleetPlan], pd.DataFrame]:
    made: dict[str, pd.DataFrame] = {}

    def rows(plan: FleetPlan) -> pd.DataFrame:
        key = plan.model_dump_json()
        if key not in made:
            made[key] = frame_of(SyntheticSource(plan))
        return made[key]

    return rows


@pytest.fixture(scope="session")
def demo() -> SyntheticSource:
    return SyntheticSource(PLANS["demo"])
