"""A summary of the slow tests, by promise: python scripts/soak_table.py [--markdown] REPORT.xml... (`pytest --junitxml`).

Which tests hold which promise is read from docs/promises.md. Of several reports, say one a file, a later one counts for the
tests that are in both. Ends non-zero if a promise's slow test failed or was not run.
"""

import re
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/promises.md"
_TEST = re.compile(r"`((?:tests|benchmarks)/[\w/]+\.py)(?:::(\w+))?`( \(slow\))?")


@dataclass
class Tally:
    """How the cases of one test ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """In a word, and how many of which."""
        counts = {"failed": self.failed, "skipped": self.skipped, "passed": self.passed}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "not run"


def promised(page: Path = PAGE) -> Iterator[tuple[str, str, str, bool]]:
    """Promise or attack, file, test and whether it is slow, for each test that the page names."""
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("| "):
            what = line.split("|")[1].strip()
            yield from ((what, file, name, bool(slow)) for file, name, slow in _TEST.findall(line))


def outcomes(reports: Iterable[Path]) -> dict[tuple[str, str], Tally]:
    """By file and test, cases of parametrized tests together."""
    found: dict[tuple[str, str], Tally] = {}
    for report in reports:
        found |= _outcomes(report)
    return found


def _outcomes(report: Path) -> dict[tuple[str, str], Tally]:
    found: dict[tuple[str, str], Tally] = defaultdict(Tally)
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        file = case.attrib["classname"].replace(".", "/") + ".py"
        tally = found[file, case.attrib["name"].partition("[")[0]]
        kinds = {child.tag for child in case}
        tally.seconds += float(case.attrib.get("time", 0))
        if kinds & {"failure", "error"}:
            tally.failed += 1
        elif "skipped" in kinds:
            tally.skipped += 1
        else:
            tally.passed += 1
    return found


Row = tuple[str, str, str, str]


def table(found: Mapping[tuple[str, str], Tally]) -> tuple[list[Row], int]:
    """Promise, test, outcome and seconds of each slow test of the page, then of each other test; and how many are not held."""
    rows: list[Row] = []
    broken, promises = 0, list(promised())
    for what, file, name, slow in promises:
        if slow:
            tally = found.get((file, name), Tally())
            broken += tally.failed > 0 or tally.outcome == "not run"
            rows.append((what, name, tally.outcome, f"{tally.seconds:.1f}"))
    named = {(file, name) for _, file, name, _ in promises}
    for (file, name), tally in sorted(found.items()):
        if (file, name) not in named:
            broken += tally.failed > 0
            rows.append(("-", name, tally.outcome, f"{tally.seconds:.1f}"))
    return rows, broken


def plain(rows: Iterable[Row]) -> Iterator[str]:
    """Lines for a terminal."""
    for what, name, outcome, seconds in (("promise", "test", "outcome", "seconds"), *rows):
        yield f"{what[:11]:12}{name[:75]:76}{outcome:24}{seconds:>8}"


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    """Lines for a page."""
    yield from ("| promise | test | outcome | seconds |", "|---|---|---|---|")
    for what, name, outcome, seconds in rows:
        yield f"| {what} | {name.removeprefix('test_').replace('_', ' ')} | {outcome} | {seconds} |"


def main(words: Sequence[str]) -> int:
    """Print the table; the number of promises that are not held."""
    found = outcomes(Path(word) for word in words if word != "--markdown")
    rows, broken = table(found)
    for line in markdown(rows) if "--markdown" in words else plain(rows):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"\n{sum(each.seconds for each in found.values()):.0f} s in all, {broken} not held\n")
    return broken


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
