"""All caches under one folder: what they are of, whether they are whole, and their removal.

Needs no torch: ``mpiedge cache`` answers at once.
"""

import re
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from mpiedge.store import dropped
from mpiedge.store.description import Description, description_of
from mpiedge.store.index import bits
from mpiedge.store.lock import Lock
from mpiedge.store.shelf import paths
from mpiedge.store.verify import layout_of, whole_segment

_KEY = re.compile(r"[0-9a-f]{16}")


class Split(NamedTuple):
    """How much of a split is stored, over all ranks of this machine."""

    name: str
    whole: int  # examples with every layer
    examples: int | None  # of the split; None: unknown


class Stored(NamedTuple):
    """One cache."""

    home: Path
    description: Description | None
    size: int  # bytes
    splits: tuple[Split, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing would have to be recorded."""
        return bool(self.splits) and all(one.whole == one.examples for one in self.splits)


def values(one: Stored) -> dict[str, Any]:
    """A cache as plain values."""
    about = one.description
    return {
        "key": one.home.name,
        "folder": str(one.home),
        "model": about and about.model,
        "task": about and about.task,
        "dtype": about and about.dtype,
        "bytes": one.size,
        "complete": one.complete,
        "splits": [split._asdict() for split in one.splits],
    }


def homes(root: Path) -> list[Path]:
    """The folders of the caches under ``root``."""
    found = root.iterdir() if root.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and _KEY.fullmatch(path.name))


def look(home: Path) -> Stored:
    """What a cache is of, and how much of it is there."""
    description = description_of(home)
    expected = description.splits if description else {}
    names = sorted({*expected, *(path.parent.name for path in rank_folders(home))})
    splits = (Split(one, _whole(home / one), expected.get(one)) for one in names)
    size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    return Stored(home, description, size, tuple(splits))


def rank_folders(home: Path) -> list[Path]:
    """The folders of the ranks, of every split."""
    return sorted(path for path in home.glob("*/rank-*") if path.is_dir())


def remove(home: Path) -> None:
    """Delete a cache; raises BadInput if a process uses it."""
    with ExitStack() as held:
        for folder in rank_folders(home):
            held.callback(Lock(folder).release)
        shutil.rmtree(home)


def _whole(split: Path) -> int:
    """How many examples of a split have every layer, over all ranks."""
    missing: dict[int, int] = {}
    for folder in split.glob("rank-*"):
        gone = dropped.read(folder)
        for segment in filter(None, map(whole_segment, paths(folder))):
            every = bits(range(layout_of(segment).layers))
            for number, record in enumerate(segment.records):
                if number not in gone.get(segment.path.name, ()):
                    example = record.label.example
                    missing[example] = missing.get(example, every) & ~bits(record.label.layers)
    return sum(not one for one in missing.values())
