"""What writes records: one segment after the other, and nothing that is already there."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mpiedge.errors import BadInput
from mpiedge.store.checksum import Bytes
from mpiedge.store.codec import codec
from mpiedge.store.fetch import Fetch
from mpiedge.store.index import Entry, Index, bits, entries
from mpiedge.store.layout import Layout
from mpiedge.store.pack import Outputs, Packing
from mpiedge.store.record import Label, Record
from mpiedge.store.segment import SegmentWriter
from mpiedge.store.shelf import Shelf, paths
from mpiedge.store.space import disk_full

SEGMENT_BYTES = 64 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Recorder:
    """Writes records into segments; its methods run in one thread at a time."""

    def __init__(self, folder: Path, layout: Layout, shelf: Shelf, index: Index) -> None:
        self._folder, self._layout, self._shelf, self._index = folder, layout, shelf, index
        self._codec, self._fetch = codec(layout), Fetch(layout.row_bytes())
        self._open: SegmentWriter | None = None
        self._fresh: dict[int, int] = {}  # the layers of each example in the open segment

    def put(self, outputs: Outputs) -> None:
        """Write what is not there yet of a micro-batch."""
        packing = Packing(outputs.on_cpu(), self._layout)
        for row, label in packing.labels():
            if not self._has(label):
                with self._writing(label) as segment:
                    content = segment.room(self._layout.rows(label.layers, label.counts))
                    packing.write(row, self._codec, content)
                    segment.commit(label, content)

    def take(self, record: Record, content: Bytes) -> None:
        """Write a record as it is stored elsewhere, unless it is there."""
        if not self._has(record.label):
            with self._writing(record.label) as segment:
                segment.copy(record, content)

    def seal(self) -> None:
        """Make everything that was written readable."""
        if self._open is None:
            return
        with self._guarded():
            segment = self._open.seal()
        self._open = None
        self._fresh.clear()
        self._index.add(entries(segment))

    def give_up(self, gone: Sequence[Entry]) -> None:
        """Free the space of records that the index has no more; nothing may be half written.

        A segment of which little is left is deleted after that was written anew; on a full disk
        it stays as it is.
        """
        thin = self._shelf.drop(gone)
        kept = [entry for segment in thin for entry in self._shelf.kept(segment)]
        with suppress(BadInput):
            self._copy(kept)
            self._index.forget(kept)
            self._shelf.remove(thin)

    def abandon(self) -> None:
        """Forget the segment that is not whole."""
        if self._open is not None:
            self._open.abandon()
            self._open = None
            self._fresh.clear()

    def _copy(self, kept: Sequence[Entry]) -> None:
        """Write records once more; one that is damaged is left out."""
        for entry in kept:
            rows = self._fetch.rows(entry)
            if rows is not None:
                with self._writing(entry.record.label) as segment:
                    segment.copy(entry.record, rows)
        self.seal()

    def _has(self, label: Label) -> bool:
        there = self._fresh.get(label.example, 0)
        for entry in self._index.of(label.example):
            there |= bits(entry.record.label.layers)
        return not bits(label.layers) & ~there

    @contextmanager
    def _writing(self, label: Label) -> Iterator[SegmentWriter]:
        """The segment that takes a record; afterwards it has the record."""
        with self._guarded():
            self._open = self._open or self._shelf.start()
            yield self._open
        self._fresh[label.example] = self._fresh.get(label.example, 0) | bits(label.layers)
        if self._open.size >= SEGMENT_BYTES:
            self.seal()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abandon()
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> BadInput:
        if error.errno in _FULL:
            stored = sum(path.stat().st_size for path in paths(self._folder))
            return disk_full(self._folder, stored)
        return BadInput(
            f"activation cache: {self._folder} cannot be written ({error.strerror}); "
            "set cache.folder to another folder"
        )
