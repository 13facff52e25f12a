"""What a frame that the library made carries in `DataFrame.attrs`: its columns' roles, its plan, and how it was scored."""

from datetime import timedelta
from typing import Any, cast

import pandas as pd

from server.domain.settings import DetectorSettings
from server.domain.telemetry import Frozen
from server.errors import InvalidInput, StageNotReady
from server.pipeline.features import FeaturePlan
from server.pipeline.normalize import design_columns
from server.pipeline.stored import plan_from_json

_KEY = "anomalyst"
_LOST = "missing (joins of pandas lose `attrs`: if it was called, set frame.attrs = earlier.attrs)"


class ScoredBy(Frozen):
    """Which detector scored a frame, and where its threshold lies."""

    settings: DetectorSettings
    threshold: float
    calibration: str


class FrameNote(Frozen):
    """The roles of a frame's columns and the plan behind its features, as JSON values, so that Parquet keeps them."""

    device: str
    time: str
    cohort: tuple[str, ...] = ()
    store: str | None = None
    customer: str | None = None
    interval: timedelta
    plan_values: dict[str, Any]
    baselines: str = ""
    scored_by: ScoredBy | None = None

    @property
    def plan(self) -> FeaturePlan:
        """Which features the frame holds, over which windows."""
        return plan_from_json(self.plan_values)

    @property
    def place(self) -> tuple[str, ...]:
        """The column that says at which store, or else for which customer, a device works; none if no column does."""
        name = self.store or self.customer
        return (name,) if name else ()

    def attached(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame, with this note on it."""
        frame.attrs = {**frame.attrs, _KEY: self.model_dump(mode="json")}
        return frame


def note_on(frame: object, asked: str, needed: str) -> tuple[pd.DataFrame, FrameNote]:
    """The frame and its note.

    Raises:
        InvalidInput: it is no frame, has no rows, or names a column twice.
        StageNotReady: the frame did not come from `needed`; `asked` is the call that wants it.
    """
    checked = require_frame(frame)
    if _KEY not in checked.attrs:
        raise StageNotReady(asked, needed, _LOST)
    return checked, FrameNote.model_validate(checked.attrs[_KEY])


def require_frame(frame: object) -> pd.DataFrame:
    """The frame. Raises `InvalidInput` if it is none, has no rows, or its columns are not each a text of their own."""
    if not isinstance(frame, pd.DataFrame):
        raise InvalidInput(f"a pandas DataFrame is needed, not {type(frame).__name__}. Convert it first.")
    if not len(frame):
        raise InvalidInput("the frame has no rows. Give one with telemetry.")
    unnamed: list[object] = [name for name in cast("pd.Index[Any]", frame.columns) if not isinstance(name, str)]
    if unnamed:
        raise InvalidInput(f"column {unnamed[0]!r} is not named by text. Call frame.rename(columns=str) first.")
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise InvalidInput(f"column {repeated[0]!r} is there more than once. Rename one of them.")
    return frame


def feature_names(plan: FeaturePlan) -> list[str]:
    """The columns that baselines are kept for."""
    return [feature.name for feature in plan.features]


def z_names(plan: FeaturePlan) -> list[str]:
    """The columns of z-scores, in the order of the design matrix."""
    return [f"{column.name}_z" for column in design_columns(plan)]


def require_columns(frame: pd.DataFrame, names: list[str], asked: str, needed: str) -> None:
    """Return if the frame has those columns. Raises `StageNotReady` if it has none, `InvalidInput` if it lacks some."""
    absent = [name for name in names if name not in frame.columns]
    if absent and len(absent) == len(names):
        raise StageNotReady(asked, needed, "missing from this frame")
    if absent:
        raise InvalidInput(f"{asked}: column {absent[0]!r} is gone ({len(absent)} of {len(names)} are). Call {needed} again.")
