"""What is measured, and what was promised: one function a group of rows.

At the smoke size a promise is a share of what is owed at a million rows: fixed costs weigh more there, and machines are noisy.
"""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from server.bench.report import BenchRow, Unit, compared, middle
from server.domain.run import Stage

if TYPE_CHECKING:
    from server.bench.runner import Bench

_WALKED = (Stage.FEATURES, Stage.BASELINES, Stage.TRAIN, Stage.SCORE)
_READ = "read"
"""What only the obvious way does as a part of its own: ours reads the file while ingesting, and the store for features."""
_POSTGRES = "ANOMALYST_BENCH_POSTGRES"
_COMMAND = "from server.cli.root import main; main()"


class Owed(NamedTuple):
    """A promise at a million rows, and what the smoke size has to show of it."""

    full: float | None = None
    smoke: float | None = None
    limit: float | None = None

    def at(self, size: str) -> tuple[float | None, float | None]:
        """The ratio and the limit at that size; the sizes between are measured and promise nothing."""
        if size in {"full", "large"}:
            return self.full, self.limit
        return (self.smoke if size == "smoke" else None), None


STAGES, PROCESS = Owed(8.0, 1.2), Owed(5.0, 0.8)
FEATURES, BASELINES = Owed(4.0, 0.5), Owed(4.0, 0.8)
FOREST, ONE_ROW = Owed(3.5, 1.8), Owed(500.0, 100.0, 20.0)
SQLITE, POSTGRES = Owed(25.0, 6.0), Owed(20.0, 3.0)


class Walked(NamedTuple):
    """The rows of the walk, and one walked home for what comes after."""

    rows: list[BenchRow]
    home: str
    run: str


def walks(bench: "Bench") -> tuple[Walked, dict[str, dict[str, float]]]:
    """The whole walk of both sides; CPU seconds by side and stage besides."""
    path = str(bench.path)
    programs = {"ours": lambda: bench.measure("ours.walk", home=bench.home(), path=path)}
    if bench.plan.obvious:
        programs["obvious"] = lambda: bench.measure("obvious.walk", home=bench.home(), path=path)
    home = bench.home()
    last = bench.measure("ours.walk", home=home, path=path)
    found = {"obvious": [], **bench.in_turns(programs)}
    ours, theirs = found["ours"], found["obvious"]

    def row(name: str, parts: tuple[str, ...], owed: Owed) -> BenchRow:
        mine, other = ([sum(each["cpu"][part] for part in parts) for each in side] for side in (ours, theirs))
        return compared(name, Unit.CPU_SECONDS, mine, other, promise=owed.at(bench.size))

    def whole(name: str, unit: Unit, key: str, owed: Owed) -> BenchRow:
        return compared(name, unit, [each[key] for each in ours], [each[key] for each in theirs], promise=owed.at(bench.size))

    most = Owed(limit={"full": 650.0, "large": 1792.0}.get(bench.size))
    rows = [
        row("stages of the walk, features to scores", _WALKED, STAGES),
        row("all six stages, from a file to incidents", (_READ, *Stage), Owed()),
        whole("whole process, CPU", Unit.CPU_SECONDS, "process_cpu", PROCESS),
        whole("whole process, peak memory", Unit.MIB, "process_peak", most),
        row("read and features", (_READ, Stage.FEATURES), FEATURES),
        row("baselines, exact", (Stage.BASELINES,), BASELINES),
    ]
    if bench.size == "large":
        rows.append(_linear(bench, ours))
    stages = {
        side: {str(stage): middle([each["cpu"][stage] for each in runs]) or 0.0 for stage in Stage}
        for side, runs in found.items()
        if runs
    }
    return Walked(rows, home, last["run"]), stages


def _linear(bench: "Bench", ours: list[dict[str, Any]]) -> BenchRow:
    """CPU a row against a tenth of the fleet: 1.2 times at most."""
    from server.bench.fleet import FleetSize, write_fleet  # noqa: PLC0415 - one size only

    path, fleet = bench.folder / "tenth.parquet", bench.plan.fleet
    write_fleet(path, FleetSize(fleet.rows // 10, fleet.devices // 10, fleet.metrics))
    tenth = [bench.measure("ours.walk", home=bench.home(), path=str(path))["process_cpu"] for _ in range(bench.plan.rounds)]
    mine, ten_tenths = middle([each["process_cpu"] for each in ours]), 10 * (middle(tenth) or 0.0)
    ratio = ten_tenths / mine if mine else None
    return BenchRow("linear from a tenth", Unit.CPU_SECONDS, mine, ten_tenths, "ten times a tenth", ratio, owed=1 / 1.2)


def forests(bench: "Bench") -> list[BenchRow]:
    """Scores of a fitted forest; that they are the same to the last bit is part of the promise."""
    rows = bench.plan.forest_rows
    found = bench.in_turns(
        {side: (lambda side=side: bench.measure(f"{side}.forest", rows=rows)) for side in ("ours", "obvious")}
    )
    mine, other = ([each["cpu"]["score"] for each in found[side]] for side in ("ours", "obvious"))
    same = {each["digest"] for side in found.values() for each in side}
    note = "bit-identical" if len(same) == 1 else "the scores differ"
    row = compared(
        "forest scoring, batch", Unit.CPU_SECONDS, mine, other, against="scikit-learn", note=note, promise=FOREST.at(bench.size)
    )
    return [row if len(same) == 1 else _lost(row)]


def _lost(row: BenchRow) -> BenchRow:
    """The row as not kept, whatever its figures say."""
    return BenchRow(row.name, row.unit, row.ours, row.theirs, row.against, None, owed=row.owed or 1.0, note=row.note)


def detectors(bench: "Bench") -> list[BenchRow]:
    """Training and scoring against PyOD's detectors."""
    rows = bench.plan.forest_rows
    return [
        _against(bench, "fit and score", ("ours.fit_and_score", f"peers.{peer}"), label, rows=rows)
        for peer, label in (("pyod_iforest", "PyOD IForest"), ("pyod_ecod", "PyOD ECOD"))
    ]


def _against(bench: "Bench", name: str, programs: tuple[str, str], label: str, **given: Any) -> BenchRow:
    if (reason := _absent(label)) is not None:
        return BenchRow(name, Unit.CPU_SECONDS, None, against=label, note=reason)
    found = bench.in_turns({program: (lambda program=program: bench.measure(program, **given)) for program in programs})
    mine, other = ([each["cpu"]["fit_and_score"] for each in found[program]] for program in programs)
    return compared(name, Unit.CPU_SECONDS, mine, other, against=label)


def _absent(label: str) -> str | None:
    module = label.partition(" ")[0].lower()
    return None if importlib.util.find_spec(module) else f"skipped: {module} is not installed"


def one_row(bench: "Bench", home: str, run: str) -> list[BenchRow]:
    """A reading at a time: against the obvious way, and events a second against detectors made for streams."""
    count, size = bench.plan.readings, bench.size
    found = bench.in_turns(
        {
            "ours": lambda: bench.measure("ours.one_row", home=home, run=run, readings=count),
            "obvious": lambda: bench.measure("obvious.one_row", path=str(bench.path), readings=max(20, count // 1000)),
        }
    )
    ours, theirs = found["ours"], found["obvious"]
    p50 = compared(
        "one row, p50", Unit.MICROSECONDS, [e["p50"] for e in ours], [e["p50"] for e in theirs], promise=ONE_ROW.at(size)
    )
    rate = [each["rate"] for each in ours]
    limit = 50_000.0 if size in {"full", "large"} else None
    rows = [
        p50,
        BenchRow("one row, p99", Unit.MICROSECONDS, middle([each["p99"] for each in ours])),
        compared("events, one at a time", Unit.PER_SECOND, rate, [each["rate"] for each in theirs], promise=(None, limit)),
        BenchRow("events, in batches of 100", Unit.PER_SECOND, middle([each["batched"] for each in ours])),
    ]
    for peer, label in (("river_trees", "river HalfSpaceTrees"), ("pysad_loda", "pysad LODA")):
        if (reason := _absent(label)) is not None:
            rows.append(BenchRow("events, one at a time", Unit.PER_SECOND, None, against=label, note=reason))
            continue
        others = [bench.measure(f"peers.{peer}", readings=min(count, 5000))["rate"] for _ in range(bench.plan.rounds)]
        rows.append(compared("events, one at a time", Unit.PER_SECOND, rate, others, against=label))
    return rows


def persisting(bench: "Bench") -> list[BenchRow]:
    """Storing anomalies, against SQLModel's `add_all` of the same table's rows, one after the other in one process."""
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "bulk_insert.py"
    names = ("anomalies into SQLite", "anomalies into PostgreSQL")
    if not script.exists():
        return [BenchRow(name, Unit.SECONDS, None, note="skipped: benchmarks/ is only in a source checkout") for name in names]
    count = bench.plan.anomalies
    rows = [_stored(bench, names[0], [f"sqlite:///{bench.home()}/records.db" for _ in range(bench.plan.rounds)], SQLITE)]
    url = os.environ.get(_POSTGRES)
    if not url:
        return [*rows, BenchRow(names[1], Unit.SECONDS, None, note=f"skipped: {_POSTGRES} names no database")]
    return [*rows, _stored(bench, f"{count:,} {names[1]}", [url] * bench.plan.rounds, POSTGRES)]


def _stored(bench: "Bench", name: str, urls: list[str], owed: Owed) -> BenchRow:
    found = [bench.measure("persisting.store", url=url, rows=bench.plan.anomalies) for url in urls]
    mine, other = ([each[side] for each in found] for side in ("persist_scored", "add_all"))
    return compared(name, Unit.SECONDS, mine, other, against="SQLModel add_all", promise=owed.at(bench.size))


def previews(bench: "Bench", home: str, run: str) -> list[BenchRow]:
    """A preview as the person who asked waits for it, and what it takes of the processor."""
    found = [bench.measure("previewing.preview", home=home, run=run) for _ in range(bench.plan.rounds)]
    name, limit = "preview of a change to one cohort", 3.0 if bench.size in {"full", "large"} else 15.0
    note = f"{found[0]['devices']:,} of {bench.plan.fleet.devices:,} devices reached"
    return [
        BenchRow(name, Unit.SECONDS, middle([each["seconds"] for each in found]), limit=limit, note=note),
        BenchRow(f"{name}, CPU", Unit.CPU_SECONDS, middle([each["cpu"] for each in found])),
    ]


def commands(bench: "Bench", home: str) -> list[BenchRow]:
    """Wall seconds of the shortest commands, best of five: the machine's other work is not theirs."""
    full = bench.size in {"full", "large"}
    asked = (
        ("anomalyst --help", ["--help"], 0.3),
        ("anomalyst anomalies", ["anomalies", "--home", home, "--fleet", "bench"], 1.0),
    )
    return [
        BenchRow(name, Unit.SECONDS, _best_of_five(arguments), limit=limit if full else 5 * limit)
        for name, arguments, limit in asked
    ]


def _best_of_five(arguments: list[str]) -> float:
    taken: list[float] = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", _COMMAND, *arguments], capture_output=True, check=True)  # noqa: S603 - our own
        taken.append(time.perf_counter() - begin)
    return min(taken)
