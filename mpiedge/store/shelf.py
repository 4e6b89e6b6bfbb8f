"""The segments in one rank's folder: opening them, naming new ones, giving up old ones."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mpiedge.errors import BadInput
from mpiedge.store import dropped
from mpiedge.store.image import FORMAT, NotWhole, OtherFormat
from mpiedge.store.index import Entry, Index, entries
from mpiedge.store.segment import ENDING, PART, Segment, SegmentWriter, open_segment

_NUMBERED = re.compile(rf"\d{{6}}{re.escape(ENDING)}")


def paths(folder: Path) -> list[Path]:
    """The stored segments of a folder, in the order they were written."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if _NUMBERED.fullmatch(path.name))


class Shelf:
    """One rank's folder of segments; ``lost`` counts segments that were not whole and are gone."""

    def __init__(self, folder: Path, stamp: str, row_bytes: int) -> None:
        self._folder, self._stamp, self._row_bytes = folder, stamp, row_bytes
        self._dropped = dropped.read(folder)
        self._next = 0
        self.lost = 0

    def fill(self, index: Index) -> None:
        """Put what is stored into an index; what a killed process left half done is removed."""
        for part in self._folder.glob(f"*{PART}"):
            part.unlink()
        for path in paths(self._folder):
            self._next = int(path.stem) + 1
            segment = self._open(path)
            if segment is None:
                path.unlink()
                self.lost += 1
            else:
                index.add(self.kept(segment))

    def start(self) -> SegmentWriter:
        """A new segment."""
        path = self._folder / f"{self._next:06d}{ENDING}"
        self._next += 1
        return SegmentWriter(path, self._stamp, self._row_bytes)

    def drop(self, gone: Iterable[Entry]) -> list[Segment]:
        """Remember that records are gone; the segments of which less than half is left."""
        touched = {}
        for segment, number in gone:
            self._dropped.setdefault(segment.path.name, set()).add(number)
            touched[segment.path] = segment
        empty = [one for one in touched.values() if not self.kept(one)]
        self.remove(empty)
        return [one for one in touched.values() if one not in empty and self._thin(one)]

    def kept(self, segment: Segment) -> list[Entry]:
        """What of a segment has not been dropped."""
        gone = self._dropped.get(segment.path.name, set())
        return [entry for entry in entries(segment) if entry.number not in gone]

    def remove(self, segments: Iterable[Segment]) -> None:
        """Delete segments."""
        for segment in segments:
            segment.path.unlink(missing_ok=True)
            self._dropped.pop(segment.path.name, None)
        with suppress(OSError):  # what is not noted comes back, and does no harm
            dropped.write(self._folder, self._dropped)

    def _thin(self, segment: Segment) -> bool:
        kept = sum(entry.record.length for entry in self.kept(segment))
        return 2 * kept < sum(record.length for record in segment.records)

    def _open(self, path: Path) -> Segment | None:
        """A segment of this cache, None if it is not whole."""
        try:
            segment = open_segment(path)
        except NotWhole:
            return None
        except OtherFormat as other:
            raise _foreign(path, f"in format {other.found}", str(FORMAT)) from None
        if segment.stamp != self._stamp:
            raise _foreign(path, f"of the cache {segment.stamp}", self._stamp)
        return segment


def _foreign(path: Path, found: str, expected: str) -> BadInput:
    return BadInput(
        f"activation cache: {path} is {found}, not {expected}; remove it with "
        "'mpiedge cache remove', or set cache.folder to another folder"
    )
