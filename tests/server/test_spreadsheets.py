"""Cells that a spreadsheet would run, as both surfaces that write CSV find them."""

import pyarrow as pa
import pytest

from server.api.exports import harmless
from server.cli.tabular import neutralised

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
TEXTS = ["", "a=1", "1-2", "x\n=1", "TC57 / 13.4", "a@b"]


@pytest.mark.parametrize("text", FORMULAS + TEXTS, ids=repr)
def test_both_ways_of_writing_neutralise_the_same_cells(text: str) -> None:
    """Python's and Arrow's regular expressions read the one pattern alike."""
    expected = f"'{text}" if text in FORMULAS else text
    assert harmless(text) == expected
    assert neutralised(pa.record_batch([pa.array([text])], names=["cell"])).to_pydict()["cell"] == [expected]
