"""Reading a record: it is verified before anything of it is used.

Apart from decoding, so that a look at a cache needs no torch.
"""

import os

import numpy as np

from mpiedge.store.checksum import Bytes, checksum
from mpiedge.store.index import Entry


class Fetch:
    """Reads records into one buffer, and so for one thread at a time."""

    def __init__(self, row_bytes: int) -> None:
        self._row_bytes = row_bytes
        self._buffer = np.empty(0, dtype=np.uint8)

    def rows(self, entry: Entry) -> Bytes | None:
        """A record's rows [rows, row bytes], good until the next call; None if damaged or gone."""
        record = entry.record
        if record.length > len(self._buffer):
            self._buffer = np.empty(record.length, dtype=np.uint8)
        content = self._buffer[: record.length]
        try:
            with entry.segment.path.open("rb", buffering=0) as file:
                found = os.preadv(file.fileno(), [content.data], entry.segment.position(record))
        except OSError:
            return None
        rows = content.reshape(-1, self._row_bytes)
        whole = found == record.length and checksum(record.label, rows) == record.check
        return rows if whole else None
