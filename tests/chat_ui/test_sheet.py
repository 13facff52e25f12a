"""Tables know which of their columns are numbers, whatever the first row lacks."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chat_ui.cards.sheet import sheet_props

ELEMENTS = Path(__file__).parents[2] / "chat_ui" / "assets" / "public" / "elements"
HOSTILE = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", " =1", "\uff1d1", 'say "hi"', "plain", "-", "a,b"]


def test_no_cell_of_a_download_is_a_formula() -> None:
    """The function that writes cells, run as it is: text that begins like a formula gets an apostrophe, numbers stay."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    source = (ELEMENTS / "Sheet.jsx").read_text("utf-8")
    cell = source[source.index("const FORMULA") : source.index("const Sheet")]
    script = f"{cell}\nconsole.log(JSON.stringify([{json.dumps(HOSTILE)}.map(cell), [-5, 1.5, null].map(cell)]))"
    said = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True, timeout=60)
    words, numbers = json.loads(said.stdout)
    assert numbers == ['"-5"', '"1.5"', '""']
    assert words[-4:] == ['"say ""hi"""', '"plain"', '"\'-"', '"a,b"']
    assert all(re.match(r"\"'", each) for each in words[:7])


def test_a_column_is_numeric_where_every_value_is() -> None:
    """A gap in the first row makes no text of it, and one word makes text of all."""
    props = sheet_props("t", "", ("a", "b", "c"), [(None, 1, "x"), (2.5, "-", "y")], "t")
    assert props["numeric"] == [True, False, False]
