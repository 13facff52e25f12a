"""Keeping a scored frame's anomalies where the other surfaces show them."""

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from server.app import App, utc_now
from server.domain.audit import AuditEntry
from server.domain.identity import Principal, local_user
from server.domain.run import Run, SourceSpec, Stage, StageRecord, StageStatus
from server.domain.settings import FeatureSettings, WalkSettings
from server.domain.telemetry import Fleet, Members, Snapshot
from server.errors import StageNotReady
from server.library.frames import Naming, SortedRows, block_of, codes, distinct, sorted_rows, texts
from server.library.notes import FrameNote, ScoredBy, note_on, require_columns
from server.pipeline.anomalies import anomaly_rows
from server.pipeline.incidents import group_incidents
from server.pipeline.presence import presence_in
from server.settings import Settings, StoreSettings

_SAVE, _SCORE = "save_anomaly_results", "HybridAnomalyDetector.score_dataframe"
_SCORES = ["anomaly_score", "severity", "is_anomaly", "confidence", "top_metric", "contributions"]
_CONNECTOR = "library"


def save_anomaly_results(
    scored: pd.DataFrame, url_or_home: str | Path | None = None, *, fleet: str = "default", tenant: str = "default"
) -> str:
    """Store the flagged rows and their incidents as a run of the fleet, whole or not at all; returns the run's id.

    `url_or_home` is a SQLAlchemy URL or a home folder, by default those that are configured. The scored frame should hold all
    rows and not only the flagged ones: an incident says how many of how many devices it touches.

    Raises:
        StageNotReady: the frame was not scored; it names the call that does it.
        InvalidInput: the fleet or tenant cannot be named so.
        Unavailable: the store cannot be reached or cannot take a write; no anomaly is stored.
    """
    frame, note = note_on(scored, _SAVE, _SCORE)
    require_columns(frame, _SCORES, _SAVE, _SCORE)
    if note.scored_by is None:
        raise StageNotReady(_SAVE, _SCORE, "missing")
    with App(_settings(url_or_home)) as app:
        run = _run(Fleet.named(tenant, fleet), note, note.scored_by)
        window, flagged = _windowed(frame, note, run.fleet)
        grouped = group_incidents(
            flagged, presence_in([window.keys], note.interval), window.members, run=run, snapshot=window.snapshot
        )
        anomalies = anomaly_rows(flagged, run, window.members, grouped.incident_of_row, (None, 0), note.scored_by.threshold)
        app.records.add_run(run)
        stored = app.records.persist_scored(run, window.snapshot.digest, anomalies, grouped.incidents)
        summary = f"{stored:,} anomalies in {len(grouped.incidents):,} incidents, scored in Python"
        app.records.save_run(run.with_record(_persisted(run, window.snapshot.digest, stored, summary)))
        who = Principal(name=local_user(), tenant=tenant, channel=_CONNECTOR)
        app.records.append_audit(AuditEntry.of(who, _SAVE, run.id, {"scores": window.snapshot.digest}, utc_now()))
    return run.id


@dataclass(frozen=True, slots=True)
class _Window:
    """The rows of a scored frame as a run's window: their keys in one block, the names behind the codes, and the snapshot."""

    keys: pa.RecordBatch
    members: Members
    snapshot: Snapshot


def _windowed(frame: pd.DataFrame, note: FrameNote, fleet: Fleet) -> tuple[_Window, pa.Table]:
    """The frame's window, and its flagged rows as a scores artifact has them."""
    rows = sorted_rows(frame, note)
    naming = Naming.of(frame, rows, note.cohort, (note.store,) if note.store else ())
    customers = texts(frame, note.customer) if note.customer else None
    members = replace(naming.members, customers=tuple(distinct(customers)) if customers is not None else ())
    keys = naming.keys(frame, note)
    if customers is not None:
        keys["customer"] = codes(customers, members.customers)
    block = block_of(frame, rows, keys, ("anomaly_score", "severity", "confidence"))
    in_order = frame.iloc[rows.order]
    is_anomaly = in_order["is_anomaly"].to_numpy(bool)
    flagged = pa.Table.from_batches([block.filter(pa.array(is_anomaly))]).rename_columns({"anomaly_score": "score"})
    described = in_order.loc[is_anomaly, ["top_metric", "contributions"]]
    flagged = flagged.append_column("top_metric", pa.array(described["top_metric"], pa.string()))
    contributions = [json.dumps(parts) for parts in described["contributions"]]
    flagged = flagged.append_column("contributions", pa.array(contributions, pa.string()))
    snapshot = Snapshot(
        fleet=fleet,
        sequence=0,
        digest=_digest(rows, block),
        rows=len(frame),
        devices=len(rows.devices),
        metrics=note.plan.metrics,
        cohort_columns=note.cohort,
        interval=note.interval,
    )
    return _Window(block, members, snapshot), flagged


def _digest(rows: SortedRows, block: pa.RecordBatch) -> str:
    """Stands for which rows were scored, and how."""
    hashed = hashlib.blake2b(json.dumps(rows.devices).encode(), digest_size=20)
    for name in ("device", "time", "anomaly_score", "severity"):
        hashed.update(block.column(name).to_numpy().tobytes())
    return hashed.hexdigest()


def _run(fleet: Fleet, note: FrameNote, by: ScoredBy) -> Run:
    now = utc_now()
    features = FeatureSettings(window=note.plan.window, lag=note.plan.lag)
    return Run(
        id=f"{fleet.name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        fleet=fleet,
        settings=WalkSettings(features=features, detector=by.settings),
        created=now,
        source=SourceSpec(connector=_CONNECTOR, location="pandas frame"),
    )


def _persisted(run: Run, digest: str, rows: int, summary: str) -> StageRecord:
    """What the run shows of its one stage: the others were walked in Python and left no artifact."""
    return StageRecord(
        stage=Stage.PERSIST,
        status=StageStatus.DONE,
        digest=digest,
        consumed={Stage.SCORE.value: digest},
        rows=rows,
        summary=summary,
        started=run.created,
        finished=utc_now(),
    )


def _settings(url_or_home: str | Path | None) -> Settings:
    if url_or_home is None:
        return Settings()
    if "://" in str(url_or_home):
        return Settings(store=StoreSettings(url=str(url_or_home)))
    # a home that is named holds the store too, whatever the environment says of another one
    return Settings(home=Path(url_or_home).expanduser().absolute(), store=StoreSettings(url=None))
