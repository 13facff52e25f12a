"""A fleet as files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from server.connectors.synthetic import PLANS, SyntheticSource, export_fleet


def test_files_hold_what_the_source_says(tmp_path: Path):
    """Telemetry, change log and the four truth tables, row for row."""
    source = SyntheticSource(PLANS["demo"].model_copy(update={"devices": 20, "days": 6}))
    written = export_fleet(source, tmp_path / "fleet")
    names = ["telemetry", "changes", "truth_incidents", "truth_affected", "truth_look_alikes", "truth_faults"]
    assert [path.name for path in written] == [f"{name}.parquet" for name in names]
    assert pq.read_table(written[0]).equals(pa.Table.from_batches(source.batches()))
    assert pq.read_table(written[1]).column("description").to_pylist() == [change.description for change in source.changes()]
    for path, table in zip(written[2:], source.truth().tables().values(), strict=True):
        assert pq.read_table(path).num_rows == table.num_rows
