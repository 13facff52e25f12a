"""Training and scoring on a frame of z-scores, with the walk's detectors, threshold and severity."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import ValidationError

from server.detectors.base import DesignMatrix
from server.detectors.registry import Detectors
from server.detectors.stored import Trained
from server.domain.settings import DetectorSettings
from server.errors import InvalidInput, StageNotReady
from server.library.baselines import Baselines
from server.library.frames import Naming, SortedRows, block_of, sorted_rows, stretches
from server.library.notes import FrameNote, ScoredBy, feature_names, note_on, z_names
from server.pipeline.features import FeaturePlan
from server.pipeline.normalize import Normalizer, design_columns, design_matrix
from server.pipeline.score import score_block
from server.pipeline.train import rows_per_day, sampled_devices, train_detector

_APPLY = "apply_baselines"
_MADE = {"score": "anomaly_score"} | {
    name: name for name in ("severity", "is_anomaly", "confidence", "top_metric", "contributions")
}
_FIT, _SCORE = "HybridAnomalyDetector.fit", "HybridAnomalyDetector.score_dataframe"


@dataclass(frozen=True, slots=True)
class AnomalyDetectorConfig:
    """Which detector is trained and where its threshold is put; what each means stands in `DetectorSettings`.

    Raises:
        InvalidInput: a value is out of bounds; the message names it.
    """

    contamination: float = 0.03
    n_estimators: int = 300
    random_state: int = 42
    min_variance: float = 1e-6
    domain_weights: Mapping[str, float] | None = None
    detector: str = "hybrid"
    alerts_per_day: float | None = None

    def __post_init__(self) -> None:
        try:
            _ = self.settings
        except ValidationError as error:
            wrong = error.errors()[0]
            raise InvalidInput(f"{'.'.join(map(str, wrong['loc']))}={wrong['input']!r}: {wrong['msg']}.") from error

    @property
    def settings(self) -> DetectorSettings:
        """The walk's settings."""
        return DetectorSettings(
            name=self.detector,
            n_estimators=self.n_estimators,
            random_state=self.random_state,
            min_variance=self.min_variance,
            contamination=self.contamination,
            alerts_per_day=self.alerts_per_day,
            domain_weights=dict(self.domain_weights or {}),
        )


class HybridAnomalyDetector:
    """A detector over a frame's z-scores: `fit` once, then `score_dataframe` as often as needed, with the threshold kept."""

    def __init__(self, config: AnomalyDetectorConfig | None = None) -> None:
        self.config = config or AnomalyDetectorConfig()
        self._trained: Trained | None = None
        self._columns: tuple[str, ...] = ()
        self._plan: FeaturePlan | None = None

    @property
    def trained(self) -> Trained:
        """The trained detector and its threshold. Raises `StageNotReady` before `fit`."""
        if self._trained is None:
            raise StageNotReady(_SCORE, _FIT, "missing")
        return self._trained

    def fit(self, z_frame: pd.DataFrame) -> Self:
        """Train on all rows (on evenly spaced devices where there are many) and calibrate the threshold on them.

        Raises:
            StageNotReady: the frame holds no z-scores; it names the call that makes them.
            NotEnoughData: fewer than 50 rows.
            InvalidInput: no column varies enough to be used.
            NotFound: no such detector is installed.
        """
        frame, note = _with_z(z_frame, _FIT)
        detector = Detectors().get(self.config.detector)
        rows = sorted_rows(frame, note)
        sample = rows.of_devices(sampled_devices(rows.counts))
        self._trained = train_detector(
            _matrices(frame, note, sample), detector, self.config.settings, rows_per_day=rows_per_day(rows.time)
        )
        self._columns = tuple(name for name in z_names(note.plan) if name in frame.columns)
        self._plan = note.plan
        return self

    def score_dataframe(self, z_frame: pd.DataFrame, baselines: Baselines | None = None) -> pd.DataFrame:
        """The frame with what the detector says of each row beside it.

        `anomaly_score` (lower is more abnormal), `severity` (0-100, 50 at the threshold), `is_anomaly`, `confidence` (0-1), and
        for flagged rows `top_metric` and `contributions`: a list of dicts, strongest first, each with metric, feature, value,
        typical, z, level, n and share. Without the `baselines` that the z-scores were made with, typical and level are None,
        n is 0, and the confidence knows nothing of thin baselines.

        Raises:
            StageNotReady: `fit` was not called, or the frame holds no z-scores; it names the call to make.
            InvalidInput: the frame lacks columns that the detector was trained on, or is of other windows or baselines.
        """
        trained = self.trained
        frame, note = _with_z(z_frame, _SCORE)
        self._refuse_strange(frame, note)
        if baselines is not None and note.baselines != baselines.digest:
            raise InvalidInput(f"the z-scores were made with other baselines. Call {_APPLY} with these first.")
        made = _scored(frame, note, trained, baselines)
        kept = frame.drop(columns=[name for name in made.columns if name in frame.columns])
        by = ScoredBy(settings=self.config.settings, threshold=trained.threshold, calibration=trained.calibration)
        return note.model_copy(update={"scored_by": by}).attached(pd.concat([kept, made], axis=1))

    def _refuse_strange(self, frame: pd.DataFrame, note: FrameNote) -> None:
        if note.plan != self._plan:
            raise InvalidInput(f"the detector was trained on other metrics or windows. Call {_FIT} on z-scores built alike.")
        lost = [name for name in self._columns if name not in frame.columns]
        if lost:
            raise InvalidInput(f"the detector was trained on {lost[0]!r}, which this frame lacks. Call {_APPLY} again.")


def _with_z(z_frame: pd.DataFrame, asked: str) -> tuple[pd.DataFrame, FrameNote]:
    """The frame and its note. Single columns of z-scores may be left out, and then do not count."""
    frame, note = note_on(z_frame, asked, _APPLY)
    if not any(name in frame.columns for name in z_names(note.plan)):
        raise StageNotReady(asked, _APPLY, "missing from this frame")
    return frame, note


def _scored(frame: pd.DataFrame, note: FrameNote, trained: Trained, baselines: Baselines | None) -> pd.DataFrame:
    """What the walk's scoring says of each row, in the frame's order."""
    rows = sorted_rows(frame, note)
    normalizer = Normalizer(baselines.baseline_set) if baselines else None
    block = baselines.block(frame, note, rows) if baselines else _block(frame, note, rows)
    matrices = zip(stretches(block, rows.device), _matrices(frame, note, rows), strict=True)
    scored = [score_block(stretch, matrix, trained, normalizer) for stretch, matrix in matrices]
    table = pa.Table.from_batches(scored).select(list(_MADE)).take(pa.array(np.argsort(rows.order)))
    made = table.rename_columns(list(_MADE.values())).to_pandas().set_axis(frame.index)
    described = [None if text is None else json.loads(text) for text in table.column("contributions").to_pylist()]
    return made.assign(contributions=pd.Series(described, index=frame.index, dtype=object))


def _block(frame: pd.DataFrame, note: FrameNote, rows: SortedRows) -> pa.RecordBatch:
    naming = Naming.of(frame, rows, tuple(name for name in note.cohort if name in frame.columns), ())
    return block_of(frame, rows, naming.keys(frame, note), feature_names(note.plan))


def _matrices(frame: pd.DataFrame, note: FrameNote, rows: SortedRows) -> Iterator[DesignMatrix]:
    """The frame's z-scores as the design matrices that they came from; a column that was left out has no value."""
    z = np.full((len(rows.order), len(z_names(note.plan))), np.nan, np.float32)
    for column, name in enumerate(z_names(note.plan)):
        if name in frame.columns:
            z[:, column] = frame[name].to_numpy(np.float32, na_value=np.nan)[rows.order]
    start = 0
    for stretch in stretches(_block(frame, note, rows), rows.device):
        yield design_matrix(stretch, design_columns(note.plan), z[start : start + stretch.num_rows])
        start += stretch.num_rows
