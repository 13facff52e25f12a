"""How fast telemetry is ingested, against a bulk copy of the same file in the same minute (P19).

`python benchmarks/ingest.py [--devices 300] [--days 30] [--rounds 3]`. The bulk copy is what DuckDB does with the file alone:
read it, store it, sync it. Ingesting also screens every value, names and numbers devices, finds repetitions and conflicts, and
keeps what it rejects. `appended`: a fleet's first rows, sorted; `merged`: the same rows again in batches of a day with a tenth
of them seen before.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from server.connectors.files import FilesConnector
from server.connectors.synthetic import SyntheticConnector
from server.domain.telemetry import Fleet
from server.storage.telemetry import DuckDBTelemetryStore

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def main() -> None:
    """Measure, alternating, and print medians."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("devices", 300), ("days", 30), ("rounds", 3)):
        asked.add_argument(f"--{name}", type=int, default=default)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="anomalyst-ingest-") as folder:
        file = made(Path(folder), given.devices, given.days)
        days = by_day(file)
        rows = pq.read_metadata(file).num_rows
        ways: dict[str, Callable[[Path], int]] = {
            "bulk copy": lambda home: copied(home, file, rows),
            "appended": lambda home: ingested(home, [file]),
            "merged": lambda home: ingested(home, days),
        }
        told: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(given.rounds):
            for name, way in ways.items():
                home = Path(folder) / f"{name.replace(' ', '-')}-{number}"
                home.mkdir()
                told[name].append(measured(lambda way=way, home=home: way(home)))
    print(f"{rows:,} rows of {given.devices} devices; median of {given.rounds} rounds")  # noqa: T201 - its answer
    for name, figures in told.items():
        wall, cpu = (statistics.median(each) for each in zip(*figures, strict=True))
        print(f"  {name:10} {wall:10,.0f} rows a second, {cpu:10,.0f} rows a CPU second")  # noqa: T201 - as above


def measured(work: Callable[[], int]) -> tuple[float, float]:
    """Rows a second and rows a CPU second of this process."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    rows = work()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return rows / wall, rows / (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def copied(home: Path, file: Path, rows: int) -> int:
    """The file as a table of DuckDB, on disk."""
    with duckdb.connect(str(home / "copy.duckdb"), config={"threads": "2"}) as connection:
        connection.execute(f"CREATE TABLE telemetry AS SELECT * FROM '{file}'")  # noqa: S608 - a path of our own
        connection.execute("CHECKPOINT")
    return rows


def ingested(home: Path, files: list[Path]) -> int:
    """The files as a fleet's telemetry, one ingest each."""
    store, rows = DuckDBTelemetryStore(home / "telemetry.duckdb", threads=2), 0
    for file in files:
        source = FilesConnector(None).open(str(file), {})
        rows += store.ingest(Fleet(), source, (), fit_split=None, now=NOW, progress=lambda *_: None).rows_in
    store.close()
    return rows


def made(folder: Path, devices: int, days: int) -> Path:
    """Telemetry of the synthetic fleet as a Parquet file, without faults, sorted by device and time."""
    options = {"devices": str(devices), "days": str(days), "faults": "off"}
    table = pa.Table.from_batches(SyntheticConnector().open("demo", options).batches())
    pq.write_table(table.sort_by([("DeviceId", "ascending"), ("Timestamp", "ascending")]), folder / "fleet.parquet")
    return folder / "fleet.parquet"


def by_day(file: Path) -> list[Path]:
    """The same rows a day a file, each with a tenth of the day before."""
    table, files = pq.read_table(file), list[Path]()
    day = pc.cast(pc.floor_temporal(table["Timestamp"], unit="day"), pa.int64())
    before = table.slice(0, 0)
    for number, value in enumerate(sorted(pc.unique(day).to_pylist())):
        own = table.filter(pc.equal(day, value))
        files.append(file.with_name(f"day-{number:03}.parquet"))
        pq.write_table(pa.concat_tables([own, before.slice(0, before.num_rows // 10)]), files[-1])
        before = own
    return files


if __name__ == "__main__":
    main()
