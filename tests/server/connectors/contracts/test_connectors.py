"""Every connector that is shipped keeps the promises of `server.connectors.base`."""

import duckdb
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from server.connectors.files import FilesConnector
from server.connectors.registry import Connectors
from server.testing import check_connector

TABLE = pa.table(
    {
        "DeviceId": ["a", "a", "b", None],
        "Timestamp": ["2025-01-01T00:00:00Z", "soon", "2025-01-01", "2025-01-02"],
        "ModelId": ["m", None, "n", "n"],
        "Download": [1.5, None, 3.0, 4.0],
    }
)


@pytest.fixture
def places(tmp_path):
    """The same rows in every kind of place."""
    folder = tmp_path / "folder"
    folder.mkdir()
    pq.write_table(TABLE, tmp_path / "t.parquet")
    pv.write_csv(TABLE, tmp_path / "t.csv")
    pq.write_table(TABLE.slice(0, 2), folder / "1.parquet")
    pv.write_csv(TABLE.slice(2).drop_columns("ModelId"), folder / "2.csv")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.register("rows", TABLE)
        connection.execute('CREATE TABLE "the rows" AS SELECT * FROM rows')
    return tmp_path


@pytest.mark.parametrize("place", ["t.parquet", "t.csv", "folder", "t.duckdb::the rows"])
def test_files_conform(places, place):
    """Whatever the format, the source is the same."""
    source = check_connector(FilesConnector([places]), str(places / place))
    assert (source.mapping.device, source.mapping.cohort, source.mapping.metrics) == ("DeviceId", ("ModelId",), ("Download",))
    assert sum(batch.num_rows for batch in source.batches()) == 4
    assert str(places) not in source.name


def test_the_synthetic_fleet_conforms():
    """It comes through the same door."""
    check_connector(Connectors().get("synthetic"), "easy", {"devices": "12", "days": "14"})
