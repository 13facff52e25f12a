"""A synthetic fleet as files, for whoever wants to look at it or ingest it from there."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from server.connectors.synthetic.source import SyntheticSource

_CHANGES = pa.schema(
    [
        ("time", pa.timestamp("us", tz="UTC")),
        ("kind", pa.string()),
        ("description", pa.string()),
        ("scope", pa.map_(pa.string(), pa.string())),
        ("before", pa.string()),
        ("after", pa.string()),
    ]
)


def export_fleet(source: SyntheticSource, folder: Path) -> tuple[Path, ...]:
    """Write telemetry.parquet, changes.parquet and truth_<table>.parquet into the folder, made if absent; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    telemetry, changes = folder / "telemetry.parquet", folder / "changes.parquet"
    with pq.ParquetWriter(telemetry, source.schema, compression="zstd") as writer:
        for batch in source.batches():
            writer.write_batch(batch)
    log = [{**change.model_dump(), "scope": list(change.scope.items())} for change in source.changes()]
    pq.write_table(pa.Table.from_pylist(log, schema=_CHANGES), changes)
    written = [telemetry, changes]
    for name, table in source.truth().tables().items():
        written.append(folder / f"truth_{name}.parquet")
        pq.write_table(table, written[-1])
    return tuple(written)
