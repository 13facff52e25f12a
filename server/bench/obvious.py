"""The obvious way: pandas, scikit-learn and SQLModel as their documentation shows them, on the same telemetry.

Written plainly, not badly: grouped rolling windows and grouped medians rather than loops over devices, no copies for nothing.
"""

import hashlib
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.ensemble import IsolationForest
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, create_engine

from server.bench.child import Figures, Sections
from server.bench.forests import fitted, some_rows

_KEYS = ("device_id", "timestamp", "model", "store_id")
_MIN_ROWS = 25
_FOREST: dict[str, Any] = {"n_estimators": 300, "max_samples": 256, "random_state": 42}


class PlainTables(SQLModel, registry=registry()):
    """Base of tables kept apart from the store's, whose metadata they must not join."""


class PlainAnomaly(PlainTables, table=True):
    """A flagged row as one would store it."""

    id: int | None = Field(default=None, primary_key=True)
    device: str = Field(index=True)
    time: datetime = Field(index=True)
    score: float
    top_feature: str
    top_z: float


def walk(given: Mapping[str, Any]) -> Figures:
    """The whole walk; CPU seconds by stage, named as ours are."""
    sections = Sections()
    with sections.part("read"):
        frame = pd.read_parquet(given["path"])
    with sections.part("ingest_telemetry"):
        frame = frame.dropna(subset=["device_id", "timestamp"])
        frame = frame.replace([np.inf, -np.inf], np.nan).drop_duplicates(["device_id", "timestamp"])
        frame = frame.sort_values(["device_id", "timestamp"], ignore_index=True)
    metrics = [name for name in frame.columns if name not in _KEYS]
    with sections.part("engineer_features"):
        features = _features(frame, metrics)
    with sections.part("compute_baselines"):
        levels = _baselines(frame, features)
    with sections.part("train_detector"):
        z = _z_scores(frame, features, levels)
        forest = IsolationForest(**_FOREST).set_params(contamination=0.03)
        forest.fit(z.to_numpy(np.float32))
    with sections.part("score_telemetry"):
        scores = forest.score_samples(z.to_numpy(np.float32))
        flagged = np.flatnonzero(scores < forest.offset_)
        top = z.iloc[flagged].abs().to_numpy().argmax(axis=1)
    with sections.part("persist_anomalies"):
        _persist(Path(given["home"]), frame.iloc[flagged], scores[flagged], (z.columns[top], z.to_numpy()[flagged, top]))
    return {"cpu": sections.cpu, "flagged": len(flagged)}


def _features(frame: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Mean and deviation over 12 hours, and the change of the mean since a day before, of each device."""
    indexed = frame.set_index("timestamp")
    rolling = indexed.groupby("device_id", sort=False)[metrics].rolling("12h", min_periods=6)
    mean = rolling.mean().reset_index(drop=True).where(frame[metrics].notna())
    std = rolling.std().reset_index(drop=True).where(frame[metrics].notna())
    earlier = pd.concat([frame[["device_id", "timestamp"]], mean], axis=1).sort_values("timestamp")
    wanted = frame[["device_id", "timestamp"]].assign(row=frame.index, timestamp=frame["timestamp"] - pd.Timedelta("24h"))
    lagged = pd.merge_asof(
        wanted.sort_values("timestamp"), earlier, on="timestamp", by="device_id", tolerance=pd.Timedelta("12h")
    )
    change = mean - lagged.set_index("row")[metrics].sort_index()
    return pd.concat([mean.add_suffix("_mean"), std.add_suffix("_std"), change.add_suffix("_change")], axis=1)


def _baselines(frame: pd.DataFrame, features: pd.DataFrame) -> list[tuple[pd.Series, pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
    """Median, MAD and count of every feature for the fleet, each model, each store's models and each device."""
    site = frame["model"] + " @ " + frame["store_id"]
    fleet = pd.Series("fleet", index=frame.index)
    levels: list[tuple[pd.Series, pd.DataFrame, pd.DataFrame, pd.DataFrame]] = []
    keys: Any = (fleet, frame["model"], site, frame["device_id"])
    for key in keys:
        median = features.groupby(key).median()
        gap = (features - median.loc[key].set_axis(features.index)).abs()
        levels.append((key, median, gap.groupby(key).median(), features.groupby(key).count()))
    return levels


def _z_scores(
    frame: pd.DataFrame, features: pd.DataFrame, levels: list[tuple[pd.Series, pd.DataFrame, pd.DataFrame, pd.DataFrame]]
) -> pd.DataFrame:
    """Robust z-scores against the narrowest level with enough rows, then of every mean against its model; 0 where missing.

    These are the columns of our own design matrix: both sides make the same number of them.
    """
    z = pd.DataFrame(np.nan, index=frame.index, columns=features.columns)
    for key, median, mad, count in levels:
        enough = (count.loc[key] >= _MIN_ROWS).set_axis(frame.index)
        z = z.where(~enough, _z_score(frame, features, key, median, mad))
    means = [name for name in features.columns if name.endswith("_mean")]
    key, median, mad, _ = levels[1]
    beside = _z_score(frame, features[means], key, median[means], mad[means]).add_suffix("_vs_model")
    return pd.concat([z, beside], axis=1).fillna(0.0)


def _z_score(
    frame: pd.DataFrame, features: pd.DataFrame, key: pd.Series, median: pd.DataFrame, mad: pd.DataFrame
) -> pd.DataFrame:
    scale = (1.4826 * mad).clip(lower=1e-3).loc[key].set_axis(frame.index)
    return (features - median.loc[key].set_axis(frame.index)) / scale


def _persist(home: Path, rows: pd.DataFrame, scores: np.ndarray, top: tuple[pd.Index, np.ndarray]) -> None:
    engine = create_engine(f"sqlite:///{home / 'plain.db'}")
    PlainTables.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(
            PlainAnomaly(device=device, time=moment.to_pydatetime(), score=score, top_feature=name, top_z=z)
            for device, moment, score, name, z in zip(
                rows["device_id"], rows["timestamp"], scores.tolist(), top[0], top[1].tolist(), strict=True
            )
        )
        session.commit()
    engine.dispose()


def forest(given: Mapping[str, Any]) -> Figures:
    """Scores of many rows by scikit-learn's own forest."""
    rows, model = some_rows(given["rows"]), fitted()
    sections = Sections()
    with sections.part("score"):
        scores = model.score_samples(rows)
    return {"cpu": sections.cpu, "digest": hashlib.sha256(scores.tobytes()).hexdigest()}


def one_row(given: Mapping[str, Any]) -> Figures:
    """A device's next reading: its last rows as a frame, rolled, normalised and scored."""
    device = pq.ParquetFile(given["path"]).read_row_group(0).to_pandas()
    device = device[device["device_id"] == device["device_id"].iloc[0]].reset_index(drop=True)
    metrics = [name for name in device.columns if name not in _KEYS]
    features = _features(device, metrics)
    median, mad = features.median(), (features - features.median()).abs().median().clip(lower=1e-3)
    z = ((features - median) / mad).fillna(0.0).to_numpy(np.float32)
    model = IsolationForest(**_FOREST).fit(z)
    taken = []
    begin_all = time.process_time()
    for at in range(given["readings"]):
        begin = time.perf_counter_ns()
        recent = device.iloc[at % 200 : at % 200 + 49].reset_index(drop=True)
        row = ((_features(recent, metrics).iloc[-1:] - median) / mad).fillna(0.0)
        model.score_samples(row.to_numpy(np.float32))
        taken.append((time.perf_counter_ns() - begin) / 1000)
    rate = given["readings"] / (time.process_time() - begin_all)
    return {"p50": float(np.median(taken)), "p99": float(np.quantile(taken, 0.99)), "rate": rate}
