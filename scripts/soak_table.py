"""A summary of the slow tests, by promise: python scripts/soak_table.py REPORT.xml (what `pytest --junitxml` writes).

Which tests hold which promise is read from docs/promises.md. Ends non-zero if a promise's slow test failed or was not run.
"""

import re
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
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


def outcomes(report: Path) -> dict[tuple[str, str], Tally]:
    """By file and test, cases of parametrized tests together."""
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


def say(line: str) -> None:
    """One line of the table."""
    sys.stdout.write(f"{line}\n")


def main(report: Path) -> int:
    """Print the table; the number of promises that are not held."""
    found, broken = outcomes(report), 0
    say(f"{'promise':12}{'test':76}{'outcome':24}{'seconds':>8}")
    for what, file, name, slow in promised():
        tally = found.get((file, name), Tally())
        if slow:
            broken += tally.failed > 0 or tally.outcome == "not run"
            say(f"{what[:11]:12}{name[:75]:76}{tally.outcome:24}{tally.seconds:8.1f}")
    named = {(file, name) for _, file, name, _ in promised()}
    for (_, name), tally in sorted(found.items()):
        if (_, name) not in named:
            broken += tally.failed > 0
            say(f"{'-':12}{name[:75]:76}{tally.outcome:24}{tally.seconds:8.1f}")
    say(f"{sum(each.seconds for each in found.values()):.0f} s in all, {broken} not held")
    return broken


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
