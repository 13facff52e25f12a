"""Confidence: it falls with missing values, which a forest fills in, and with thin baselines; severity does not."""

import numpy as np
import pyarrow as pa
import pytest

from server.pipeline.normalize import Expectation, Normalizer
from server.pipeline.score import firmness, score_block


def confidence(block: pa.RecordBatch, trained, baselines) -> np.ndarray:
    normalizer = Normalizer(baselines)
    return score_block(block, normalizer.matrix(block), trained, normalizer).column("confidence").to_numpy()


def test_confidence_falls_with_each_missing_feature(fleet, baselines, trained) -> None:
    """Every feature that is taken from every row costs some, and all rows stay between 0 and 1."""
    block = next(iter(fleet.table(baselines.plan).blocks()))
    before = confidence(block, trained, baselines)
    for feature in baselines.plan.features[:3]:
        place = block.schema.names.index(feature.name)
        known = np.isfinite(block.column(place).to_numpy())
        block = block.set_column(place, feature.name, pa.array(np.full(block.num_rows, np.nan)))
        after = confidence(block, trained, baselines)
        assert (after[known] < before[known]).mean() > 0.95
        assert ((after >= 0) & (after <= 1)).all()
        before = after


@pytest.mark.parametrize(("few", "many"), [(1, 2), (25, 100), (100, 10_000)])
def test_thin_baselines_are_relied_on_less(few: int, many: int) -> None:
    """The more rows stand behind what is typical, the firmer it is; never quite 1."""
    expected = [
        Expectation(np.zeros((1, 2)), np.ones((1, 2)), np.zeros((1, 2), np.int8), np.full((1, 2), float(rows)))
        for rows in (few, many)
    ]
    thin, firm = (float(firmness(each)[0]) for each in expected)
    assert 0 < thin < firm < 1
