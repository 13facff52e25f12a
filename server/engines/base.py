"""What the walk needs of whatever computes over whole tables. Implementations are named in `server.app` only.

All of them call the same functions of `server.pipeline` on blocks of whole devices, and differ in where: what a feature, a
baseline or a score is, none of them decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.detectors.stored import Trained
from server.domain.settings import BaselineSettings
from server.domain.telemetry import Snapshot
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.counterfactual import Counterfactual, Reach, Stored
from server.pipeline.exclusion import KeptOut
from server.pipeline.extend import Carried
from server.pipeline.features import FeaturePlan
from server.pipeline.presence import Presence
from server.pipeline.score import Scoring
from server.pipeline.table import FeatureTable
from server.storage.base import Progress, TelemetryStore


@dataclass(frozen=True, slots=True)
class Estimated:
    """Baselines, and how many rows were kept out of them."""

    baselines: BaselineSet
    kept_out: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a detector is trained on: blocks of features of some devices, and how many rows a day the whole table has."""

    blocks: Iterator[pa.RecordBatch]
    rows_per_day: float


@dataclass(frozen=True, slots=True)
class Scored:
    """A scores artifact by name, with the number of its rows and of those flagged."""

    artifact: str
    rows: int
    flagged: int


class Engine(Protocol):
    """Computes over whole tables. Artifacts that it writes are named by their content: the same inputs give the same name."""

    def features(
        self,
        run: str,
        telemetry: TelemetryStore,
        snapshot: Snapshot,
        plan: FeaturePlan,
        progress: Progress,
        kept: Carried | None = None,
    ) -> str:
        """Name of the artifact with the features of every row of the snapshot, sorted by device and time.

        `kept` is what an earlier table already holds of them. Copying that or making all anew has the same outcome.
        """
        ...

    def baselines(self, table: FeatureTable, kept_out: KeptOut, settings: BaselineSettings) -> Estimated:
        """What `compute_baselines` makes of the rows that are not kept out.

        Raises:
            NotEnoughData: no feature has `min_rows` values in the whole fleet.
        """
        ...

    def sample(self, table: FeatureTable, devices: npt.NDArray[np.int64]) -> Sample:
        """The rows of those device codes, in the table's order."""
        ...

    def score(self, run: str, table: FeatureTable, scoring: Scoring, progress: Progress, kept: Carried | None = None) -> Scored:
        """The artifact with the scores of every row, in the table's order; `kept` as in `features`."""
        ...

    def flagged(self, scores: Path) -> pa.Table:
        """The anomalies among the rows of a scores artifact, in its order."""
        ...

    def presence(self, scores: Path, interval: timedelta) -> Presence:
        """Who was there when, by a scores artifact."""
        ...

    def score_again(
        self, table: FeatureTable, stored: Stored, reach: Reach, baselines: BaselineSet | RawFallback, trained: Trained
    ) -> Counterfactual:
        """The reached rows under other baselines or another detector; no other row is read."""
        ...
