"""What a source's rows are called once they are stored: device and time read as an ingest reads them, row by row."""

import numpy as np
import pyarrow as pa

from server.domain.telemetry import ColumnMapping
from server.storage.base import RowKeys
from server.storage.telemetry.parsing import is_text, plain, times


def row_keys(batch: pa.RecordBatch, mapping: ColumnMapping) -> RowKeys:
    """Device and time of every row of a batch as it came, and whether both could be read."""
    device = plain(batch.column(mapping.device))
    if not is_text(device.type):
        device = device.cast(pa.string())
    time, missing, malformed = times(batch.column(mapping.time))
    known = np.asarray(device.is_valid()) & ~missing & ~malformed
    return RowKeys(device, time, known)
