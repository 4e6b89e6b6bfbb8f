"""A segment: an HDF5 file of records that is written once, beside its place, and then only read.

A process that is killed loses the segment it was writing and no other.  Small records are gathered
into one dataset, so that the file is written and read in large pieces.

    /0, /1, ...   uint8, the records' bytes
    /records      the table: example, layers, tokens, dataset, offset, length, checksum
    @cache        which cache it belongs to
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mpiedge.store import image
from mpiedge.store.checksum import Bytes, checksum
from mpiedge.store.record import Label, Record, from_table, to_table

GATHERED = 8 << 20  # bytes; one dataset, unless a single record is larger
PART = ".part"
ENDING = ".h5"


@dataclass(frozen=True, eq=False)
class Segment:
    """A stored segment and what is in it."""

    path: Path
    stamp: str  # which cache it belongs to
    starts: tuple[int, ...]  # bytes; where each dataset lies in the file
    records: tuple[Record, ...]

    def position(self, record: Record) -> int:
        """Where in the file a record of this segment lies."""
        return self.starts[record.dataset] + record.offset


def open_segment(path: Path) -> Segment:
    """A stored segment; raises NotWhole or OtherFormat."""
    with h5py.File(image.load(path), "r") as file:
        table = file["records"][()]
        names = map(str, range(len(file) - 1))
        starts = tuple(int(file[name].id.get_offset()) for name in names)
        return Segment(path, str(file.attrs["cache"]), starts, tuple(from_table(table)))


class SegmentWriter:
    """A segment on its way to the disk."""

    def __init__(self, path: Path, stamp: str, row_bytes: int) -> None:
        self._row_bytes = row_bytes
        self._path, self._part, self._stamp = path, path.with_suffix(PART), stamp
        self._image = image.Image()
        self._file = image.new_file(self._image)
        self._file.attrs["cache"] = stamp
        self._starts: list[int] = []
        self._records: list[Record] = []
        self._buffer = np.empty(GATHERED, dtype=np.uint8)
        self._used = 0
        self.size = 0  # bytes on the disk
        self._descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)

    def room(self, rows: int) -> Bytes:
        """Memory for the next record [rows, row bytes]; it counts once it is committed."""
        size = rows * self._row_bytes
        if self._used + size > len(self._buffer):
            self._flush()
        if size > len(self._buffer):
            self._buffer = np.empty(size, dtype=np.uint8)
        return self._buffer[self._used : self._used + size].reshape(rows, self._row_bytes)

    def commit(self, label: Label, rows: Bytes) -> None:
        """Take the record that was written into ``room``."""
        self._append(label, checksum(label, rows), rows.size)

    def copy(self, record: Record, content: Bytes) -> None:
        """Take a record as it is stored elsewhere, with its checksum."""
        self.room(len(content))[:] = content
        self._append(record.label, record.check, record.length)

    def seal(self) -> Segment:
        """Put the segment in its place, whole."""
        self._flush()
        self._file["records"] = to_table(self._records)
        self._file.close()
        image.save(self._image, self._descriptor)
        os.close(self._descriptor)
        self._part.replace(self._path)
        return Segment(self._path, self._stamp, tuple(self._starts), tuple(self._records))

    def abandon(self) -> None:
        """Forget the segment and free its space."""
        self._file.close()
        with suppress(OSError):
            os.close(self._descriptor)
        self._part.unlink(missing_ok=True)

    def _append(self, label: Label, check: int, length: int) -> None:
        self._records.append(Record(label, check, len(self._starts), self._used, length))
        self._used += length

    def _flush(self) -> None:
        if not self._used:
            return
        size = -(-self._used // image.PAGE) * image.PAGE
        start = image.reserve(self._file, str(len(self._starts)), size)
        image.write_all(self._descriptor, self._buffer[: self._used].data, start)
        self._starts.append(start)
        self.size += size
        self._used = 0
