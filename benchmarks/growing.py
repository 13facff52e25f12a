"""What a day of new rows costs a fleet that was walked before: `python benchmarks/growing.py --rows 1000000 --devices 1000`.

The same telemetry is walked up to its last day in three homes, and then with it: estimating anew from features made from the
beginning, estimating anew from features that are carried on, and with baselines kept. CPU seconds of this process by stage.
"""

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from server.app import App
from server.bench.fleet import FleetSize, write_fleet
from server.domain.run import SourceSpec, Stage
from server.domain.settings import BaselineSettings, FeatureSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.settings import Settings

OTHER_WINDOWS = WalkSettings(features=FeatureSettings(window=timedelta(hours=6)))
KEEPING = WalkSettings(baselines=BaselineSettings(keep_for=timedelta(days=7)))
WAYS = {
    "from the beginning": (OTHER_WINDOWS, WalkSettings()),
    "carried on": (WalkSettings(),) * 2,
    "baselines kept": (KEEPING,) * 2,
}
"""Settings of the first walk and of the second; features of other windows are of no use to it."""


def main() -> None:
    """Print a line a way."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--devices", type=int, default=1000)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = parts(Path(folder), FleetSize(given.rows, given.devices))
        line("", *(stage.value for stage in Stage), "in all")
        for way, settings in WAYS.items():
            spent = second_walk(Path(folder) / way.replace(" ", "-"), files, settings)
            line(way, *(f"{seconds:.2f}" for seconds in (*spent, sum(spent))))


def line(*fields: str) -> None:
    """Print the fields in columns."""
    print("".join(f"{each:>20}" for each in fields), flush=True)  # noqa: T201 - a script speaks by printing


def parts(folder: Path, size: FleetSize) -> tuple[Path, Path]:
    """The telemetry in two files: up to its last day, and that day."""
    write_fleet(folder / "all.parquet", size)
    table = pq.read_table(folder / "all.parquet")
    last = pc.call_function("max", [table.column("timestamp")]).as_py() - timedelta(days=1)
    early = pc.call_function("less", [table.column("timestamp"), pa.scalar(last, table.schema.field("timestamp").type)])
    before, after = folder / "before.parquet", folder / "after.parquet"
    pq.write_table(table.filter(early), before)
    pq.write_table(table.filter(pc.call_function("invert", [early])), after)
    return before, after


def second_walk(home: Path, files: tuple[Path, Path], settings: tuple[WalkSettings, WalkSettings]) -> list[float]:
    """CPU seconds of each stage of the walk that takes the last day in."""
    spent: list[float] = []
    with App(Settings(home=home, threads=2)) as app:
        for path, chosen in zip(files, settings, strict=True):
            spent.clear()
            run = app.walk.start(Fleet(name="grown"), SourceSpec(connector="files", location=str(path)), chosen)
            for stage in Stage:
                began = time.process_time()
                app.walk.run_stage("default", run.id, stage)
                spent.append(time.process_time() - began)
    return spent


if __name__ == "__main__":
    main()
