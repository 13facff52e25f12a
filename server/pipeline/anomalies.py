"""Flagged rows of a scores artifact as the rows that the SQL store keeps."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from server.domain.run import Run, Stage
from server.domain.telemetry import Fleet, Members
from server.pipeline.parts import row_groups

_ID_DIGITS = 12


def flagged_rows(scores: Path) -> pa.Table:
    """The anomalies among a scores artifact's rows, one row group at a time, in the artifact's order."""
    return pa.concat_tables([group.filter(group.column("is_anomaly")) for group in row_groups(scores)]).combine_chunks()


def anomaly_rows(
    flagged: pa.Table,
    run: Run,
    members: Members,
    incident_of_row: pa.Array,
    versions: tuple[int | None, int],
    threshold: float,
) -> pa.Table:
    """The table that `Records.persist_scored` takes; `incident_of_row` names each flagged row's incident, empty for none.

    `versions` are those of the baselines (None: raw features) and of the detector.
    """
    rows = flagged.num_rows
    devices = pa.array(members.devices, pa.string()).take(flagged.column("device").combine_chunks())
    cohorts = pa.array([*(json.dumps(cohort) for cohort in members.cohorts), "[]"], pa.string())
    site_key, places = ("store", members.stores) if members.stores else ("customer", members.customers)
    record = run.done(Stage.BASELINES)
    fallback = record.fallback if record else ""
    time = flagged.column("time").to_numpy()
    ids = [anomaly_id(run.fleet, device, moment) for device, moment in zip(devices.to_pylist(), time.tolist(), strict=True)]
    return pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "device": devices,
            "time": time,
            "cohort": _named(cohorts, flagged, "cohort"),
            "site": _named(pa.array([*places, ""], pa.string()), flagged, site_key),
            "score": flagged.column("score"),
            "threshold": np.full(rows, threshold),
            "severity": flagged.column("severity"),
            "confidence": flagged.column("confidence"),
            "top_metric": flagged.column("top_metric"),
            "contributions": flagged.column("contributions"),
            "baseline_version": pa.array([versions[0]] * rows, pa.int64()),
            "detector_version": np.full(rows, versions[1], np.int64),
            "fallback": pa.array([fallback] * rows, pa.string()),
            "incident": incident_of_row,
        }
    )


def anomaly_id(fleet: Fleet, device: str, time: int) -> str:
    """Names a device's row for good: the same row scored again has the same id. `time` in microseconds since 1970 UTC."""
    digest = hashlib.blake2b(f"{fleet.tenant}/{fleet.name}/{device}@{time}".encode(), digest_size=_ID_DIGITS // 2)
    return f"a-{digest.hexdigest()}"


def _named(names: pa.Array, flagged: pa.Table, key: str) -> pa.Array:
    """Names by code; the last name stands for -1."""
    codes = flagged.column(key).combine_chunks()
    return names.take(pc.call_function("if_else", [pc.call_function("less", [codes, 0]), len(names) - 1, codes]))
