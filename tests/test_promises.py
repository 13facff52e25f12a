"""docs/promises.md names tests that there are, and calls slow what is slow."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def soak_table() -> ModuleType:
    """The script that prints the summary of `make soak`."""
    spec = importlib.util.spec_from_file_location("soak_table", ROOT / "scripts/soak_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks for its module there
    spec.loader.exec_module(module)
    return module


TABLE = soak_table()
PROMISED = list(TABLE.promised())


@cache
def named_in(file: str) -> dict[str, bool]:
    """Tests of a file by name, and whether all or some cases of each are slow."""
    return dict(_tests(ast.parse((ROOT / file).read_text())))


def _tests(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, any("mark.slow" in ast.unparse(each) for each in node.decorator_list)


@pytest.mark.parametrize(("file", "name", "slow"), sorted({each[1:] for each in PROMISED}))
def test_what_the_page_names_is_there_and_as_slow_as_it_says(file: str, name: str, slow: bool) -> None:
    """A renamed test would leave a promise that nothing holds. A benchmark is named by its file alone."""
    assert (ROOT / file).is_file()
    assert not name or named_in(file).get(name) is slow
    assert name or file.startswith("benchmarks/")


def test_every_promise_is_on_the_page() -> None:
    """P1 to P19, each with something that holds it."""
    assert {f"P{number}" for number in range(1, 20)} <= {what for what, *_ in PROMISED}


def test_the_summary_counts_cases_and_names_what_was_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promise whose slow test failed or is missing from the report is not held; one that was skipped is told as such."""
    page, report, later = tmp_path / "page.md", tmp_path / "report.xml", tmp_path / "later.xml"
    page.write_text(
        "| P1 | a | `tests/a.py::test_x` (slow), `tests/a.py::test_y` (slow) |\n| P2 | b | `tests/b.py::test_z` (slow) |\n"
    )
    report.write_text(
        '<testsuites><testsuite><testcase classname="tests.a" name="test_x[1]" time="1.5"/>'
        '<testcase classname="tests.a" name="test_x[2]" time="2"><failure/></testcase>'
        '<testcase classname="tests.a" name="test_y" time="0"><skipped/></testcase>'
        '<testcase classname="tests.c" name="test_other" time="1"/></testsuite></testsuites>'
    )
    monkeypatch.setattr(TABLE.promised, "__defaults__", (page,))
    assert TABLE.main([str(report)]) == 2
    told = capsys.readouterr().out
    assert "test_x" in told
    assert "1 failed, 1 passed" in told
    assert "1 skipped" in told
    assert "not run" in told
    assert "test_other" in told
    later.write_text(
        '<testsuite><testcase classname="tests.a" name="test_x[1]" time="1"/><testcase classname="tests.a" name="test_x[2]" '
        'time="2"/><testcase classname="tests.b" name="test_z" time="4"/></testsuite>'
    )
    assert TABLE.main(["--markdown", str(report), str(later)]) == 0
    told = capsys.readouterr().out
    assert "| P1 | x | 2 passed | 3.0 |" in told
    assert "| P2 | z | 1 passed | 4.0 |" in told
    assert "8 s in all, 0 not held" in told
