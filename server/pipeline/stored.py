"""Baselines as files: one row a group, arrays of features as lists, everything else as JSON in the schema's metadata."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from server.domain.baseline import Adjustment, Level
from server.domain.telemetry import Metric
from server.pipeline.baselines import BaselineSet, Grouping, LevelStatistics, RawFallback
from server.pipeline.features import FeaturePlan
from server.pipeline.overlay import group_shifts, moves_of
from server.pipeline.profile import Profile

_ARRAYS = ("median", "scale", "count")
_PROFILE = "profile"


def write_baselines(path: Path, baselines: BaselineSet | RawFallback) -> None:
    """Write either kind; `read_baselines` gives it back equal."""
    about = {"plan": plan_to_json(baselines.plan)}
    if isinstance(baselines, RawFallback):
        path.write_text(json.dumps(about | {"raw_fallback": baselines.reason}, sort_keys=True))
        return
    grouping = baselines.grouping
    about |= {
        "min_rows": baselines.min_rows,
        "level_min_rows": {level.level.value: level.min_rows for level in baselines.levels if level.min_rows is not None},
        "cohorts": grouping.cohorts,
        "sites": grouping.sites,
        "site_key": grouping.site_key,
        "site_of": grouping.site_of.tolist(),
        "hours": baselines.profile.hours if baselines.profile else 0,
        "adjustments": [each.model_dump(mode="json") for each in baselines.adjustments],
        "until": baselines.until,
    }
    tables = [
        _to_arrow(level.level.value, level.groups, {name: getattr(level, name) for name in _ARRAYS})
        for level in baselines.levels
    ]
    if baselines.profile:
        cells = baselines.profile.deviation
        tables.append(_to_arrow(_PROFILE, tuple(map(str, range(len(cells)))), {"median": cells}))
    table = pa.concat_tables(tables, promote_options="default")
    pq.write_table(table.replace_schema_metadata({"anomalyst": json.dumps(about, sort_keys=True)}), path, compression="zstd")


def read_baselines(path: Path) -> BaselineSet | RawFallback:
    """What `write_baselines` wrote there."""
    if path.suffix == ".json":
        about = json.loads(path.read_text())
        return RawFallback(about["raw_fallback"], plan_from_json(about["plan"]))
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"anomalyst"])
    plan = plan_from_json(about["plan"])
    level_of = np.asarray(table.column("level").to_pylist())
    parts = {name: table.filter(pa.array(level_of == name)) for name in dict.fromkeys(level_of)}
    profile = Profile(about["hours"], _array(parts.pop(_PROFILE), "median", plan)) if _PROFILE in parts else None
    levels = tuple(
        LevelStatistics(
            Level(name),
            tuple(part.column("group").to_pylist()),
            **{array: _array(part, array, plan) for array in _ARRAYS},
            min_rows=about["level_min_rows"].get(name),
        )
        for name, part in parts.items()
    )
    site_of = np.array(about["site_of"], np.int32)
    grouping = Grouping(tuple(about["cohorts"]), site_of, tuple(about["sites"]), about["site_key"])
    adjustments = tuple(map(Adjustment.model_validate, about["adjustments"]))
    return BaselineSet(plan, about["min_rows"], levels, grouping, profile, adjustments, about.get("until", 0))


def baseline_rows(baselines: BaselineSet) -> pa.Table:
    """Every group's statistics, a row a feature: feature, level, group, median (adjusted), scale and n, for the SQL store."""
    names = pa.array([feature.name for feature in baselines.features])
    width, moves = len(names), moves_of(baselines)
    tables = []
    for level in baselines.levels:
        groups = len(level.groups)
        kept, own = level.count.ravel() > 0, [move for move in moves if move.level is level.level]
        shift = group_shifts(own, groups, width)
        table = pa.table(
            {
                "feature": names.take(pa.array(np.tile(np.arange(width), groups))),
                "level": pa.array([level.level.value]).take(pa.array(np.zeros(groups * width, np.int64))),
                "group": pa.array(level.groups, pa.string()).take(pa.array(np.repeat(np.arange(groups), width))),
                "median": (level.median + shift).ravel(),
                "scale": level.scale.ravel(),
                "n": level.count.ravel().astype(np.int64),
            }
        )
        tables.append(table.filter(pa.array(kept)))
    return pa.concat_tables(tables)


def _to_arrow(level: str, groups: tuple[str, ...], arrays: Mapping[str, np.ndarray]) -> pa.Table:
    columns: dict[str, Any] = {"level": [level] * len(groups), "group": list(groups)}
    for name, values in arrays.items():
        offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
        columns[name] = pa.ListArray.from_arrays(offsets, values.ravel())
    return pa.table(columns)


def _array(part: pa.Table, name: str, plan: FeaturePlan) -> np.ndarray:
    flat = part.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(part.num_rows, len(plan.features))


def plan_to_json(plan: FeaturePlan) -> dict[str, Any]:
    """The plan as JSON values; `plan_from_json` gives it back equal."""
    metrics = [metric.model_dump(mode="json", exclude_defaults=True) for metric in plan.metrics]
    return {
        "metrics": metrics,
        "window": plan.window.total_seconds(),
        "lag": plan.lag.total_seconds(),
        "min_count": plan.min_count,
    }


def plan_from_json(about: Mapping[str, Any]) -> FeaturePlan:
    """The plan that `plan_to_json` spelled."""
    metrics = tuple(Metric.model_validate(metric) for metric in about["metrics"])
    return FeaturePlan(metrics, timedelta(seconds=about["window"]), timedelta(seconds=about["lag"]), about["min_count"])
