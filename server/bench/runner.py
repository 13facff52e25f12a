"""Runs a benchmark: both sides in turns, each measurement in a process of its own, medians of the rounds."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from server.bench.entries import commands, detectors, forests, one_row, persisting, previews, walks
from server.bench.fleet import FleetSize, write_fleet
from server.bench.report import BenchReport, BenchRow, Growth

Size = Literal["smoke", "small", "full", "large"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a benchmark is."""

    fleet: FleetSize
    rounds: int
    forest_rows: int
    readings: int
    anomalies: int
    growth: bool = True
    obvious: bool = True
    """Whether the obvious way is walked too; at ten million rows it takes more memory than most machines have."""


PLANS: Mapping[Size, Plan] = {
    "smoke": Plan(FleetSize(150_000, 150), 1, 50_000, 10_000, 30_000, growth=False),
    "small": Plan(FleetSize(200_000, 200), 3, 100_000, 20_000, 30_000),
    "full": Plan(FleetSize(1_000_000, 1000), 3, 300_000, 50_000, 300_000),
    "large": Plan(FleetSize(10_000_000, 10_000), 3, 300_000, 50_000, 300_000, growth=False, obvious=False),
}


class Bench:
    """One benchmark under way: its folder, and the children that it starts."""

    def __init__(self, plan: Plan, size: str, folder: Path, say: Say) -> None:
        self.plan, self.size, self.folder, self._say = plan, size, folder, say
        self.path = folder / "telemetry.parquet"
        self._count = 0

    def measure(self, program: str, **given: Any) -> dict[str, Any]:
        """Figures of one program in a fresh process.

        Raises:
            ChildFailedError: it ended with an error; the last line of what it said is in the message.
        """
        self._say(f"  {program} {json.dumps(given) if given else ''}")
        command = [sys.executable, "-W", "ignore", "-m", "server.bench.child", program, json.dumps(given)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_root())  # noqa: S603 - our own program
        if ended.returncode:
            lines = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
            raise ChildFailedError(f"{program}: {lines[-1]}")
        figures: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
        return figures

    def in_turns(self, programs: Mapping[str, Callable[[], dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        """Each program once a round, so that a busy moment of the machine meets all of them."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
        for _ in range(self.plan.rounds):
            for name, run in programs.items():
                found[name].append(run())
        return found

    def home(self) -> str:
        """A fresh folder for one walk's stores."""
        self._count += 1
        path = self.folder / f"home-{self._count}"
        path.mkdir()
        return str(path)


class ChildFailedError(RuntimeError):
    """A measured program ended with an error."""


def run_bench(size: Size, out: Path | None = None, say: Say = lambda _: None) -> BenchReport:
    """Measure everything at that size and, with `out`, write `bench-<size>.json` and a plot into that folder.

    `report.lost` has the promises that were not kept; at the smoke size these allow for noise and are what to fail on. `say` is
    called with a line for each measurement that begins.
    """
    begin, plan = time.perf_counter(), PLANS[size]
    with tempfile.TemporaryDirectory(prefix="anomalyst-bench-") as folder:
        bench = Bench(plan, size, Path(folder), say)
        say(f"writing {plan.fleet.rows:,} rows of {plan.fleet.devices:,} devices")
        write_fleet(bench.path, plan.fleet)
        _warm_up(bench)
        rows: list[BenchRow] = []
        walked, stages = walks(bench)
        rows += walked.rows
        for part in (forests, detectors, persisting):
            rows += part(bench)
        rows += one_row(bench, walked.home, walked.run)
        rows += previews(bench, walked.home, walked.run)
        rows += commands(bench, walked.home)
        growth = _growth(bench) if plan.growth else ()
        seconds = time.perf_counter() - begin
        report = BenchReport(size, plan.rounds, _machine(), tuple(rows), growth, seconds, stages)
    if out is not None:
        report.write(out)
    return report


def _warm_up(bench: Bench) -> None:
    """A small walk that nobody measures: it compiles the kernels into their cache and brings the files into memory."""
    path = bench.folder / "small.parquet"
    write_fleet(path, FleetSize(6_000, 20, bench.plan.fleet.metrics))
    figures = bench.measure("ours.walk", home=(home := bench.home()), path=str(path))
    bench.measure("ours.one_row", home=home, run=figures["run"], readings=400)


def _growth(bench: Bench) -> tuple[Growth, ...]:
    """Our walk over a quarter, half and all of the rows; over few and many devices; over few and many metrics."""
    whole = bench.plan.fleet
    sizes = [("rows", FleetSize(whole.rows // part, whole.devices // part, whole.metrics)) for part in (8, 4, 2, 1)]
    sizes += [("devices", FleetSize(whole.rows // 2, whole.devices // part, whole.metrics)) for part in (16, 4, 1)]
    sizes += [("metrics", FleetSize(whole.rows // 4, whole.devices // 4, metrics)) for metrics in (4, 8, 16)]
    return tuple(_grown(bench, varied, size) for varied, size in sizes)


def _grown(bench: Bench, varied: str, size: FleetSize) -> Growth:
    path = bench.folder / "grown.parquet"
    rows = write_fleet(path, size)
    figures = bench.measure("ours.walk", home=bench.home(), path=str(path))
    return Growth(varied, rows, size.devices, size.metrics, figures["process_cpu"], figures["process_peak"])


def _root() -> Path:
    return Path(__file__).resolve().parents[2]


def _machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def summary(report: BenchReport) -> Sequence[tuple[str, ...]]:
    """The report as rows of text: what, ours, theirs, ratio, owed, whether it is met."""
    return [_line(row) for row in report.rows]


def _line(row: BenchRow) -> tuple[str, ...]:
    owed = [
        f"{row.owed:g} x" if row.owed else "",
        f"{'≥' if row.unit == 'a second' else '≤'} {row.limit:g}" if row.limit else "",
    ]
    met = {True: "met", False: "lost", None: ""}[row.met]
    ratio = f"{row.ratio:.2f} x" if row.ratio else ""
    return (
        row.name,
        _figure(row.ours, row.unit),
        _figure(row.theirs, row.unit),
        ratio,
        " ".join(filter(None, owed)),
        met,
        row.note,
    )


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,.4g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
