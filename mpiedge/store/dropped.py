"""Records that a segment still has and the cache has not: a list beside the segments.

A list that is lost or damaged does no harm: the records come back, and each still has to pass its
checksum.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from mpiedge.store.atomic import replace_text

Dropped = dict[str, set[int]]  # by a segment's name, the numbers of records in its table

_NAME = "dropped.json"


def read(folder: Path) -> Dropped:
    """What was dropped from the segments of a folder."""
    try:
        stored = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        return {str(name): {int(number) for number in numbers} for name, numbers in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write(folder: Path, dropped: Dropped) -> None:
    """Replace the list, all at once."""
    plain: dict[str, Iterable[int]] = {name: sorted(found) for name, found in dropped.items()}
    replace_text(folder / _NAME, json.dumps(plain))
