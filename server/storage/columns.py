"""Columns in which many rows go into `Records` at once, and the conversion of a few domain objects to them."""

from collections.abc import Iterable

import pyarrow as pa
from pydantic import TypeAdapter

from server.domain.anomaly import Anomaly, Contribution
from server.domain.baseline import Baseline
from server.storage.moments import microseconds


def _column(name: str, kind: pa.DataType, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable)


BASELINE_COLUMNS = pa.schema(
    [
        _column("feature", pa.string()),
        _column("level", pa.string()),  # a value of `Level`
        _column("group", pa.string()),
        _column("median", pa.float64()),
        _column("scale", pa.float64()),  # above 0
        _column("n", pa.int64()),
    ]
)
"""One row a baseline; (level, group, feature) is unique."""

ANOMALY_COLUMNS = pa.schema(
    [
        _column("id", pa.string()),  # unique within the set
        _column("device", pa.string()),
        _column("time", pa.int64()),  # microseconds since 1970 UTC
        _column("cohort", pa.string()),  # JSON list of text
        _column("site", pa.string()),
        _column("score", pa.float64()),
        _column("threshold", pa.float64()),
        _column("severity", pa.float64()),  # 0 to 100
        _column("confidence", pa.float64()),  # 0 to 1
        _column("top_metric", pa.string()),  # that of the first contribution, empty if there is none
        _column("contributions", pa.string()),  # JSON list of `Contribution`
        _column("baseline_version", pa.int64(), nullable=True),
        _column("detector_version", pa.int64()),
        _column("fallback", pa.string()),
        _column("incident", pa.string()),  # empty if it belongs to none
    ]
)
"""One row an anomaly. Text columns may be dictionary-encoded, and integers narrower."""

CONTRIBUTIONS = TypeAdapter(tuple[Contribution, ...])
COHORT = TypeAdapter(tuple[str, ...])


def baseline_rows(baselines: Iterable[Baseline]) -> pa.Table:
    """The baselines in `BASELINE_COLUMNS`; for small sets, as each one is an object."""
    return pa.Table.from_pylist([baseline.model_dump() for baseline in baselines], schema=BASELINE_COLUMNS)


def anomaly_rows(anomalies: Iterable[Anomaly]) -> pa.Table:
    """The anomalies in `ANOMALY_COLUMNS`; for small sets, as each one is an object. Raises `InvalidInput` for a naive time."""
    return pa.Table.from_pylist([_flat(anomaly) for anomaly in anomalies], schema=ANOMALY_COLUMNS)


def _flat(anomaly: Anomaly) -> dict[str, object]:
    return {
        **anomaly.model_dump(exclude={"fleet", "run"}),
        "time": microseconds(anomaly.time),
        "cohort": COHORT.dump_json(anomaly.cohort).decode(),
        "contributions": CONTRIBUTIONS.dump_json(anomaly.contributions).decode(),
        "top_metric": anomaly.top_metric,
    }
