"""Open incidents are kept out of what is normal."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from server.domain.anomaly import Incident, IncidentKind
from server.domain.settings import BaselineSettings
from server.domain.telemetry import Fleet, Members, Metric
from server.pipeline.baselines import compute_baselines
from server.pipeline.exclusion import open_incidents, rows_inside
from server.pipeline.features import FeaturePlan, engineer_features
from server.pipeline.table import FeatureTable, write_table

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEVICES, HOURS = 6, 200


def incident(devices: tuple[str, ...], first: int, last: int, kind: IncidentKind = IncidentKind.DEVICE) -> Incident:
    """An incident of those devices from one hour to another."""
    return Incident(
        id=f"i-{first}-{last}-{len(devices)}",
        fleet=Fleet(),
        run="r",
        kind=kind,
        title="",
        metrics=("drain",),
        scope={},
        start=START + first * HOUR,
        end=START + last * HOUR,
        devices=devices,
        devices_in_scope=DEVICES,
        elsewhere_share=0.0,
        anomalies=1,
        severity=60.0,
    )


@pytest.fixture
def fleet(tmp_path: Path) -> tuple[FeatureTable, Members]:
    """Six devices that drain 1 % an hour, three of which drain 9 % in their last 120 of 200 hours."""
    rng = np.random.default_rng(0)
    drain = 1 + 0.1 * rng.standard_normal((DEVICES, HOURS))
    drain[:3, 80:] += 8
    rows = DEVICES * HOURS
    origin = int(START.timestamp() * 1e6)
    nothing = np.full(rows, -1, np.int32)
    block = pa.RecordBatch.from_pydict(
        {
            "device": np.repeat(np.arange(DEVICES, dtype=np.int32), HOURS),
            "cohort": np.zeros(rows, np.int32),
            "store": nothing,
            "customer": nothing,
            "time": np.tile(origin + np.arange(HOURS) * 3_600_000_000, DEVICES),
            "reference": np.ones(rows, bool),
            "drain": drain.ravel(),
        }
    )
    plan = FeaturePlan((Metric(name="drain"),), 12 * HOUR, 12 * HOUR)
    path = tmp_path / "features.parquet"
    write_table(path, engineer_features([block], plan))
    names = tuple(f"d{number}" for number in range(DEVICES))
    return FeatureTable(path, plan), Members(names, (("all",),), (), (), (HOURS,) * DEVICES)


def test_only_shared_incidents_that_still_go_on_are_open() -> None:
    """Ended ones, lone devices and trouble of the telemetry itself do not keep rows out."""
    going_on = incident(("d0", "d1", "d2"), 80, 199)
    others = [
        incident(("d0", "d1", "d2"), 10, 40),
        incident(("d4",), 150, 199),
        incident(("d0", "d1", "d2"), 90, 199, IncidentKind.TELEMETRY),
    ]
    assert open_incidents([going_on, *others], 12 * HOUR) == [going_on]


def test_rows_of_an_open_incident_do_not_teach_what_is_normal(fleet: tuple[FeatureTable, Members]) -> None:
    """With them the sick devices' own median becomes the fault; without them it stays what it was before."""
    table, members = fleet
    inside = rows_inside(table, members, [incident(("d0", "d1", "d2", "gone"), 80, 199)])
    assert inside.sum() == 3 * 120
    taught = compute_baselines(table, members, BaselineSettings()).levels[-1].median[:3, 0]
    kept_out = compute_baselines(table, members, BaselineSettings(), excluded=inside).levels[-1].median[:3, 0]
    np.testing.assert_allclose(taught, 9, atol=0.5)
    np.testing.assert_allclose(kept_out, 1, atol=0.2)
