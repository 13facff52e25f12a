"""The `files` connector: what it takes for what, and how it refuses."""

from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from server.connectors.files import FilesConnector
from server.connectors.formats import MOST_COLUMNS
from server.domain.telemetry import Fleet, Rejection
from server.errors import InvalidInput, NotFound, PathNotAllowed
from server.storage.telemetry import DuckDBTelemetryStore

GOOD = "device_id,timestamp,temp\na,2025-01-01T00:00:00,1\n"


@pytest.fixture
def write(tmp_path):
    """Writes a file of that name and gives its path as text."""

    def _write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return _write


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("device_id,timestamp,temp\n", "no rows"),
        (b"\x00\x01\x02" * 50, "binary"),
        (b"device_id,timestamp,caf\xe9\na,b,1\n", "UTF-8"),
        (b"device_id,timestamp,x\na,2025-01-01,\xff\xfe\n", "UTF-8"),
        ("device_id,timestamp,x,x\na,2025-01-01,1,2\n", "more than once"),
        ("device_id,timestamp,x\na,2025-01-01,1,2,3\n", "Mend the file"),
        ('"device\nid",timestamp,x\na,2025-01-01,1\n', "no line break inside a name"),
        (f"device_id,timestamp,{'x' * 200_000}\na,2025-01-01,1\n", "Mend the file"),
        ("when,temp\n2025-01-01,1\n", r"device=<column>, or, .*device_name=<name>\. Columns: when, temp"),
        ("device_id,temp\na,1\n", r"time=<column>\. Columns: device_id, temp"),
        ("device_id,begun,ended,x\na,2025-01-01,2025-01-02,1\n", "Several columns hold times: begun, ended"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_to_do(write, content, says):
    """The message names what was found and the option to set."""
    with pytest.raises(InvalidInput, match=says):
        list(FilesConnector().open(write(content), {}).batches())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"devise": "x"}, "Did you mean device="),
        ({"device": "device-id"}, "Did you mean 'device_id'"),
        ({"device": "temp", "time": "temp"}, "one role"),
        ({"device": "device_id", "device_name": "a"}, "only one"),
        ({"metrics": "temp,humid"}, "metrics=humid"),
    ],
)
def test_a_wrong_option_is_refused_with_the_nearest_right_one(write, options, says):
    """Unknown options are never dropped."""
    with pytest.raises(InvalidInput, match=says):
        FilesConnector().open(write(GOOD), options)


@pytest.mark.parametrize("name", ["t.parquet", "t.duckdb", "t.xlsx"])
def test_a_file_that_is_not_what_its_name_says_is_refused(write, name):
    """Garbage under a good suffix is the file's fault."""
    with pytest.raises(InvalidInput, match=r"t\."):
        FilesConnector().open(write(b"garbage" * 99, name), {})


def test_a_parquet_column_that_is_there_twice_is_refused(tmp_path):
    """As in CSV: which of the two is meant, nobody can tell."""
    columns = {"device": ["a"], "time": ["2025-01-01"], "temp": [1.0]}
    table = pa.table(columns).append_column("temp", pa.array([2.0]))
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(InvalidInput, match="'temp' more than once"):
        FilesConnector().open(str(tmp_path / "twice.parquet"), {})


@pytest.mark.parametrize(
    ("role", "cells"),
    [
        ("device", pa.array([b"\xff"])),
        ("device", pa.array([["a"]])),
        ("model", pa.array([{"a": 1}])),
        ("store", pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())),
    ],
)
def test_names_that_are_no_text_are_refused_and_nothing_is_stored(tmp_path, role, cells):
    """Nested cells, bytes, and what calls itself text and is none."""
    columns = {"device": ["a"], "time": ["2025-01-01"], "model": ["m"], "store": ["s"], "temp": [1.0], role: cells}
    pq.write_table(pa.table(columns), tmp_path / "odd.parquet")
    source = FilesConnector().open(str(tmp_path / "odd.parquet"), {"cohort": "model", "store": "store"})
    with closing(DuckDBTelemetryStore(tmp_path / "t.duckdb")) as store:
        with pytest.raises(InvalidInput, match="cannot be read as text"):
            store.ingest(Fleet(), source, (), fit_split=None, now=datetime(2026, 1, 1, tzinfo=UTC), progress=lambda *_: None)
        with pytest.raises(NotFound):
            store.snapshot(Fleet())


def test_paths_outside_the_roots_are_refused_however_written(tmp_path, write):
    """Dots and links are resolved first; a link inside a folder counts too."""
    outside, root = Path(write(GOOD)), tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "link.csv").symlink_to(outside)
    (root / "folder" / "link.csv").symlink_to(outside)
    connector = FilesConnector([root])
    for location in (outside, root / ".." / "t.csv", root / "link.csv", root / "folder", "/etc/passwd", f"{outside}::t"):
        with pytest.raises(PathNotAllowed, match="outside"):
            connector.open(str(location), {})
    with pytest.raises(InvalidInput, match="Check the path"):
        connector.open(str(root / "absent.csv"), {})


def test_columns_find_their_roles_by_name_and_answers_are_never_metrics(write):
    """Whoever learns from a label is not finding anything."""
    header = "machineID,ts,ArrivalTime,ManufacturerId,OsVersionId,StoreId,CustomerId,split,volt,comment,id"
    answers = "label,is_anomaly,anomaly,changepoint,failure_comp,Labels"
    line = "7,2025-01-01,2025-01-01,m,13,s,c,train,1.5,fine,1" + ",1" * 6
    mapping = FilesConnector().open(write(f"{header},{answers}\n{line}\n"), {}).mapping
    assert (mapping.device, mapping.time, mapping.arrival) == ("machineID", "ts", "ArrivalTime")
    assert (mapping.cohort, mapping.store, mapping.customer) == (("ManufacturerId", "OsVersionId"), "StoreId", "CustomerId")
    assert (mapping.split, mapping.metrics) == ("split", ("volt",))
    assert mapping.ignored == ("comment", "id", *answers.split(","))


def test_options_win_over_names_and_a_single_device_can_be_named(write):
    """A file of one device needs no device column."""
    path = write("when,a,b,kind\n2025-01-01,1,2,k\n")
    source = FilesConnector().open(path, {"device_name": "pump 1", "cohort": "kind", "ignore": "b"})
    assert source.mapping.metrics == ("a",)
    assert [batch.to_pydict()["device_name"] for batch in source.batches()] == [["pump 1"]]


def test_cells_that_cannot_be_read_reach_the_store_as_text(write):
    """One bad cell costs one row, and a byte-order mark none."""
    path = write("\ufeff" + GOOD + "a,2025-01-01T01:00:00,broken\nb,not yet,2\n,2025-01-01,3\na,2025-01-01T02:00:00,4\n")
    store = DuckDBTelemetryStore(Path(":memory:"), threads=1)
    source = FilesConnector().open(path, {})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    report = store.ingest(Fleet(), source, (), fit_split=None, now=now, progress=lambda *_: None)
    reasons = (Rejection.MALFORMED_VALUE, Rejection.MALFORMED_TIME, Rejection.NO_DEVICE)
    assert (report.rows_kept, report.rejected) == (2, dict.fromkeys(reasons, 1))
    store.close()


def test_a_folder_is_the_union_of_its_files_by_column_name(tmp_path):
    """A metric that a file lacks is missing there; types may differ."""
    early = pa.table({"device_id": ["a"], "timestamp": pa.array([0], pa.timestamp("ms")), "x": [1]})
    late = pa.table({"device_id": pa.array([7]), "timestamp": ["2025-01-01"], "x": [2.5], "y": [3.0]})
    pq.write_table(early, tmp_path / "1.parquet")
    pq.write_table(late, tmp_path / "2.parquet")
    (tmp_path / "notes.md").write_text("not telemetry")
    source = FilesConnector().open(str(tmp_path), {})
    assert (source.rows, source.mapping.metrics) == (2, ("x", "y"))
    rows = [row for batch in source.batches() for row in batch.select(["x", "y"]).to_pylist()]
    assert rows == [{"x": 1, "y": None}, {"x": 2.5, "y": 3.0}]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidInput, match=r"no \.csv"):
        FilesConnector().open(str(empty), {})


def test_two_thousand_columns_are_read(write):
    """Wide files work."""
    names = [f"m {number}" for number in range(2000)]
    path = write(f"device_id,timestamp,{','.join(names)}\na,2025-01-01{',1' * 2000}\n")
    assert len(FilesConnector().open(path, {}).mapping.metrics) == 2000


@pytest.mark.parametrize("table", ["absent", ""])
def test_a_table_that_is_not_there_is_refused_with_those_that_are(tmp_path, table):
    """The message shows how to write it."""
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("CREATE TABLE telemetry(x INTEGER)")
    with pytest.raises(InvalidInput, match=r"Tables: telemetry\. Write t\.duckdb::<table>"):
        FilesConnector().open(f"{tmp_path / 't.duckdb'}::{table}", {})


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_more_columns_than_any_device_reports_are_refused(tmp_path, kind):
    """Each would be a metric with a column of its own in the store: twenty thousand held it for minutes."""
    path = tmp_path / f"wide.{kind}"
    names = ["device", "time", *(f"m{number}" for number in range(MOST_COLUMNS))]
    if kind == "csv":
        path.write_text(f"{','.join(names)}\na,2025-01-01{',1' * MOST_COLUMNS}\n")
    else:
        pq.write_table(pa.table({name: ["1"] for name in names}), path)
    with pytest.raises(InvalidInput, match=rf"wide.{kind} has 3,002 columns; 3,000 are the most"):
        FilesConnector().open(str(path), {})


@pytest.mark.parametrize("seed", range(4))
def test_a_parquet_file_with_some_bytes_changed_is_read_or_refused_by_name(tmp_path, seed):
    """Its names may be no text any more, its pages no pages: never a fault of another kind, nor the end of the process."""
    path, rng = tmp_path / "week.parquet", np.random.default_rng(seed)
    pq.write_table(pa.table({"device": ["a", "b"], "time": ["2025-01-01", "2025-01-02"], "temp": [1.0, 2.0]}), path)
    whole = path.read_bytes()
    for _ in range(100):
        bad = bytearray(whole)
        for place in rng.integers(4, len(bad) - 4, 3):
            bad[place] = rng.integers(0, 256)
        path.write_bytes(bytes(bad))
        with suppress(InvalidInput):
            list(FilesConnector().open(str(path), {}).batches())
