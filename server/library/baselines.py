"""Baselines of a frame of features, and a frame's z-scores under them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from server.domain.baseline import Level
from server.domain.settings import BaselineSettings
from server.errors import InvalidInput
from server.library.frames import Naming, SortedRows, block_of, sorted_rows, stretches
from server.library.levels import BaselineLevel, Levels, checked_levels, default_levels
from server.library.notes import FrameNote, feature_names, note_on, require_columns, z_names
from server.pipeline import baselines as pipeline
from server.pipeline.baselines import BaselineSet, LevelStatistics
from server.pipeline.normalize import Expectation, Normalizer, normalize
from server.pipeline.stored import baseline_rows
from server.pipeline.table import FeatureTable, write_table
from server.settings import Settings

_TRANSFORM = "DeviceFeatureBuilder.transform"
_COLUMNS = ["level", "group", "feature", "median", "scale", "n"]


@dataclass(frozen=True, slots=True)
class Baselines:
    """What is normal for the devices of a frame: the walk's `BaselineSet`, and the names behind its groups."""

    baseline_set: BaselineSet
    naming: Naming

    @property
    def digest(self) -> str:
        """Stands for their content: z-scores remember with which baselines they were made."""
        hashed = blake2b(digest_size=16)
        for level in self.baseline_set.levels:
            hashed.update(json.dumps([level.level, level.groups, level.min_rows or self.baseline_set.min_rows]).encode())
            for values in (level.median, level.scale, level.count):
                hashed.update(values.tobytes())
        hashed.update(json.dumps([each.model_dump(mode="json") for each in self.baseline_set.adjustments]).encode())
        if self.baseline_set.profile is not None:
            hashed.update(self.baseline_set.profile.deviation.tobytes())
        return hashed.hexdigest()

    def to_frame(self) -> pd.DataFrame:
        """One row for each group and feature that has values: level, group, feature, median, scale and n."""
        return baseline_rows(self.baseline_set).select(_COLUMNS).to_pandas()

    def block(self, frame: pd.DataFrame, note: FrameNote, rows: SortedRows) -> pa.RecordBatch:
        """The frame's sorted rows as a block of features, with codes of these baselines' groups."""
        return block_of(frame, rows, self.naming.keys(frame, note), feature_names(self.baseline_set.plan))


def compute_baselines(
    features: pd.DataFrame,
    levels: Sequence[BaselineLevel] | None = None,
    *,
    excluded: pd.Series | None = None,
    profile_days: int = 7,
) -> Baselines:
    """Median, robust scale and n of every feature for every group of every level, from all rows that are not `excluded`.

    Levels may come in any order; without any, those that a walk keeps. `excluded` marks rows to keep out of the estimate, such
    as those of known faults; it has the frame's index. From `profile_days` of history on, an hourly rhythm is taken out too.

    Raises:
        StageNotReady: the frame holds no features; it names the call that makes them.
        InvalidInput: a level cannot be kept of this frame.
        NotEnoughData: no feature has the global level's `min_rows` values.
    """
    frame, note = note_on(features, "compute_baselines", _TRANSFORM)
    require_columns(frame, feature_names(note.plan), "compute_baselines", _TRANSFORM)
    wanted = checked_levels(levels if levels is not None else default_levels(note), frame, note)
    rows = sorted_rows(frame, note)
    naming = Naming.of(frame, rows, wanted.cohort, wanted.place)
    block = block_of(frame, rows, naming.keys(frame, note), feature_names(note.plan))
    least = wanted.by_name[Level.GLOBAL].min_rows
    with TemporaryDirectory(prefix="anomalyst-") as folder:
        table = FeatureTable(Path(folder) / "features.parquet", note.plan)
        write_table(table.path, stretches(block, rows.device))
        found = pipeline.compute_baselines(
            table,
            naming.members,
            BaselineSettings(min_rows=least, profile_days=profile_days),
            excluded=None if excluded is None else _mask(excluded, frame)[rows.order],
            threads=Settings().threads,
        )
    return Baselines(replace(found, levels=_kept(found.levels, wanted, least)), naming)


def apply_baselines(features: pd.DataFrame, baselines: Baselines, *, show_levels: bool = False) -> pd.DataFrame:
    """The features with `<feature>_z` columns beside them: robust z-scores (float32, NaN where the feature is missing).

    Every feature is held against the most specific level that has enough rows, and every mean against its cohort as well
    (`<metric>_mean_vs_cohort_z`). With `show_levels`, `<feature>_level` and `<feature>_n` say what stands behind each. Devices,
    cohorts and sites that the baselines have not seen are held against the next wider level.

    Raises:
        StageNotReady: the frame holds no features; it names the call that makes them.
        InvalidInput: the features are of other metrics or windows than the baselines.
    """
    frame, note = note_on(features, "apply_baselines", _TRANSFORM)
    require_columns(frame, feature_names(note.plan), "apply_baselines", _TRANSFORM)
    if note.plan != baselines.baseline_set.plan:
        raise InvalidInput("the baselines are of other metrics or windows. Call compute_baselines on features built alike.")
    rows = sorted_rows(frame, note)
    blocks = list(stretches(baselines.block(frame, note, rows), rows.device))
    matrices = normalize(blocks, baselines.baseline_set, threads=Settings().threads)
    z = rows.back(np.concatenate([matrix.z for matrix in matrices]))
    names = z_names(note.plan)
    made = [pd.DataFrame(z, index=frame.index, columns=names)]
    if show_levels:
        normalizer = Normalizer(baselines.baseline_set)
        behind = [normalizer.expectation(block, np.arange(block.num_rows)) for block in blocks]
        made += _behind(behind, rows, [name.removesuffix("_z") for name in names], frame.index)
    added = {name for part in made for name in part.columns}
    kept = frame.drop(columns=[name for name in frame.columns if name in added])
    return note.model_copy(update={"baselines": baselines.digest}).attached(pd.concat([kept, *made], axis=1))


def _kept(levels: Sequence[LevelStatistics], wanted: Levels, least: int) -> tuple[LevelStatistics, ...]:
    """The levels that were asked for, each with its own least number of rows where that differs from the global one's."""
    own = {level: given.min_rows for level, given in wanted.by_name.items()}
    return tuple(
        replace(level, min_rows=None if own[level.level] == least else own[level.level])
        for level in levels
        if level.level in own
    )


def _behind(found: Sequence[Expectation], rows: SortedRows, names: Sequence[str], index: pd.Index) -> list[pd.DataFrame]:
    level = rows.back(np.concatenate([part.level for part in found]))
    n = rows.back(np.concatenate([part.n for part in found]).astype(np.int64))
    known = list(found[0].level_names)
    levels = {f"{name}_level": pd.Categorical.from_codes(level[:, i], pd.Index(known)) for i, name in enumerate(names)}
    return [pd.DataFrame(levels, index=index), pd.DataFrame(n, index=index, columns=[f"{name}_n" for name in names])]


def _mask(excluded: pd.Series, frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    if not excluded.index.equals(frame.index):
        raise InvalidInput("excluded has another index than the features. Make it of them, such as features[...] > 0.")
    return excluded.to_numpy(bool)
