"""An HDF5 file of which the library sees everything but the large datasets.

The HDF5 library is not made for damaged files, and it cannot be told to give up a file that the
disk has no room for.  So it works on an image in memory: the pages with its own structures.  The
large datasets are written and read past it, at the offsets that it gave them.  On disk the pages
and the datasets together are a plain HDF5 file, followed by a list of the image's pages and their
checksum, which is verified before the library sees anything.

    | page | dataset ... | page | page | dataset ... |  numbers of the pages | tail |
"""

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

PAGE = 4096  # bytes; a dataset shares its pages with nothing else
FORMAT = 1  # of the whole store
_EMPTY = bytes(PAGE)
_MAGIC = b"MPIEDGE\n"
_TAIL = struct.Struct("<8sIIQI")
_CHECK = struct.Struct("<I")  # of the list and the tail


class OtherFormat(Exception):
    """A whole file of another version of the format, which is ``found``."""

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found


class NotWhole(Exception):
    """A file that is cut short or damaged in what is not records."""


class Image:
    """A file in memory, page by page, as h5py takes files: what was never written is zeros."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.end = 0  # bytes
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.end}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """The offset."""
        return self._at

    def read(self, size: int) -> bytes:
        """The next bytes; fewer at the end."""
        found = [
            bytes(self.pages.get(page, _EMPTY)[place])
            for _, page, place in self._parts(max(0, min(size, self.end - self._at)))
        ]
        self._at += sum(map(len, found))
        return b"".join(found)

    def write(self, content: memoryview) -> int:
        """Write at the offset."""
        for part, page, place in self._parts(len(content)):
            self.pages.setdefault(page, bytearray(PAGE))[place] = content[part]
        self._at += len(content)
        self.end = max(self.end, self._at)
        return len(content)

    def truncate(self, size: int) -> int:
        """Set the end."""
        self.end = size
        return size

    def flush(self) -> None:
        """Nothing: it is all in memory."""

    def _parts(self, size: int) -> Iterable[tuple[slice, int, slice]]:
        """The pieces of the next bytes that lie in one page: which, the page, where in it."""
        done = 0
        while done < size:
            page, start = divmod(self._at + done, PAGE)
            length = min(size - done, PAGE - start)
            yield slice(done, done + length), page, slice(start, start + length)
            done += length


def new_file(image: Image) -> h5py.File:
    """An empty HDF5 file in an image, which gives datasets pages of their own."""
    return h5py.File(image, "w", alignment_threshold=PAGE, alignment_interval=PAGE)


def reserve(file: h5py.File, name: str, size: int) -> int:
    """Make a contiguous dataset of ``size`` bytes, whole pages, and return where it has to go."""
    wanted = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    wanted.set_layout(h5py.h5d.CONTIGUOUS)
    wanted.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    wanted.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((size,))
    made = h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_UINT8, space, wanted)
    offset = made.get_offset()
    assert offset is not None
    assert offset % PAGE == 0
    return int(offset)


def write_all(descriptor: int, content: memoryview, offset: int) -> None:
    """Write all of ``content``; raises OSError, as when the disk is full."""
    while len(content):
        done = os.pwrite(descriptor, content, offset)
        content, offset = content[done:], offset + done


def save(image: Image, descriptor: int) -> None:
    """Write the pages of a closed HDF5 file to their places, and what proves them whole."""
    numbers = sorted(image.pages)
    for number in numbers:
        write_all(descriptor, memoryview(image.pages[number]), number * PAGE)
    listed = np.array(numbers, dtype="<u8").tobytes()
    body = zlib.crc32(b"".join(image.pages[number] for number in numbers))
    tail = _Tail(_MAGIC, FORMAT, len(numbers), image.end, body)
    proof = listed + _TAIL.pack(*tail)
    proof += _CHECK.pack(zlib.crc32(proof))
    write_all(descriptor, memoryview(proof), _paged(image.end))


class _Tail(NamedTuple):
    magic: bytes
    version: int
    pages: int
    end: int  # bytes; of the HDF5 file
    body: int  # the checksum of the pages


def load(path: Path) -> Image:
    """The image of a stored file; raises NotWhole or OtherFormat."""
    with path.open("rb") as file:
        descriptor = file.fileno()
        tail, listed = _proof(descriptor)
        image = Image()
        image.end = tail.end
        for number in np.frombuffer(listed, dtype="<u8").tolist():
            image.pages[number] = bytearray(os.pread(descriptor, PAGE, number * PAGE))
    if zlib.crc32(b"".join(image.pages.values())) != tail.body:
        raise NotWhole
    return image


def _proof(descriptor: int) -> tuple[_Tail, bytes]:
    """The end of a file and its list of pages, if this program wrote it and nothing is missing."""
    size = os.fstat(descriptor).st_size
    own = _TAIL.size + _CHECK.size
    if size < own:
        raise NotWhole
    tail = _Tail(*_TAIL.unpack(os.pread(descriptor, _TAIL.size, size - own)))
    start = size - own - 8 * tail.pages
    if tail.magic != _MAGIC or start < 0:
        raise NotWhole
    proof = os.pread(descriptor, size - start, start)
    if _CHECK.pack(zlib.crc32(proof[: -_CHECK.size])) != proof[-_CHECK.size :]:
        raise NotWhole
    if tail.version != FORMAT:
        raise OtherFormat(tail.version)
    if start != _paged(tail.end):
        raise NotWhole
    return tail, proof[: 8 * tail.pages]


def _paged(size: int) -> int:
    return -(-size // PAGE) * PAGE
