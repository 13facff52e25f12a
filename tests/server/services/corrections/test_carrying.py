"""After an approval only what it reaches is scored again, and the outcome is the one of doing everything again."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from server.detectors.stored import write_trained
from server.domain.identity import Principal
from server.domain.run import Stage
from server.pipeline.score import Scoring
from server.pipeline.table import FeatureTable

ANN = Principal(name="ann")


@pytest.fixture
def scored_rows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Filled, as blocks are read to be scored, with each block's rows and how many devices those are of."""
    seen: list[tuple[int, int]] = []
    whole = FeatureTable.blocks_from

    def counted(table: FeatureTable, since: Any) -> Iterator[tuple[int, pa.RecordBatch | None]]:
        for end, block in whole(table, since):
            seen.append((0, 0) if block is None else (block.num_rows, len(block.column("device").unique())))
            yield end, block

    monkeypatch.setattr(FeatureTable, "blocks_from", counted)
    return seen


def test_only_the_groups_of_an_adjustment_are_scored_again(desk: Any, scored_rows: list[tuple[int, int]]) -> None:
    """Twelve of 24 devices, from about the onset on; the artifact is the one that scoring every row makes."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    desk.approve(standing)
    before = desk.now()
    desk.app.corrections.apply(ANN, standing.suggestion.id)
    run, stages = desk.now(), desk.app.walk.stages
    rows, devices = map(sum, zip(*scored_rows, strict=True))
    assert devices == 12
    assert rows < 0.25 * run.stages[Stage.SCORE].rows
    again = stages.engine.score(
        run.id, stages.feature_table(run), Scoring(stages.trained(run), stages.baseline_set(run)), lambda *_: None
    )
    assert again.artifact == run.stages[Stage.SCORE].artifact != before.stages[Stage.SCORE].artifact
    assert again.flagged == desk.now().stages[Stage.PERSIST].rows


def test_the_detector_is_kept_and_is_the_one_that_training_makes(desk: Any, tmp_path: Path) -> None:
    """It was trained on the estimate, which no adjustment changes."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    desk.approve(standing)
    before = desk.now().stages[Stage.TRAIN].digest
    desk.app.corrections.apply(ANN, standing.suggestion.id)
    run = desk.now()
    write_trained(tmp_path / "again.npz", desk.app.walk.stages.fit(run))
    again = hashlib.sha256((tmp_path / "again.npz").read_bytes()).hexdigest()
    assert again == run.stages[Stage.TRAIN].digest == before
