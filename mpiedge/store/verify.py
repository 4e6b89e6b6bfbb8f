"""Reading all that is stored, to find what is damaged."""

import json
from pathlib import Path
from typing import NamedTuple

from mpiedge.store import dropped
from mpiedge.store.fetch import Fetch
from mpiedge.store.image import NotWhole, OtherFormat
from mpiedge.store.index import entries
from mpiedge.store.layout import Layout
from mpiedge.store.segment import Segment, open_segment
from mpiedge.store.shelf import paths


class Verdict(NamedTuple):
    """What one rank's folder holds."""

    records: int  # read, damaged ones included
    examples: tuple[int, ...]  # of which something is damaged
    files: tuple[Path, ...]  # segments that are not whole, or of another format

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.examples and not self.files


def verify(folder: Path) -> Verdict:
    """Read every record in one rank's folder and compare its checksum; changes nothing."""
    gone = dropped.read(folder)
    records, examples, files = 0, set[int](), []
    for path in paths(folder):
        segment = whole_segment(path)
        if segment is None:
            files.append(path)
            continue
        fetch = Fetch(layout_of(segment).row_bytes())
        out = gone.get(path.name, set())
        for entry in (one for one in entries(segment) if one.number not in out):
            records += 1
            if fetch.rows(entry) is None:
                examples.add(entry.record.label.example)
    return Verdict(records, tuple(sorted(examples)), tuple(files))


def layout_of(segment: Segment) -> Layout:
    """The layout that a segment is marked with."""
    marked = json.loads(segment.stamp)
    return Layout(**{name: value for name, value in marked.items() if name != "key"})


def whole_segment(path: Path) -> Segment | None:
    """A segment; None if it is not whole, or of another format."""
    try:
        return open_segment(path)
    except (NotWhole, OtherFormat, OSError):
        return None
