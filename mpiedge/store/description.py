"""What a cache is of, in words: ``key.json`` beside its data, for ``mpiedge cache list``."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mpiedge.store.atomic import replace_text
from mpiedge.store.image import FORMAT

_NAME = "key.json"


@dataclass(frozen=True)
class Description:
    """A cache, for a reader."""

    model: str
    task: str
    dtype: str  # cache.dtype
    layers: int  # that a whole example has
    splits: dict[str, int]  # examples of each
    created: str  # a date
    format: int = FORMAT


def describe(home: Path, description: Description) -> None:
    """Leave a description in the folder of a key; raises OSError."""
    home.mkdir(parents=True, exist_ok=True)
    replace_text(home / _NAME, json.dumps(asdict(description), indent=1))


def description_of(home: Path) -> Description | None:
    """The description in the folder of a key, if there is one that can be read."""
    try:
        return Description(**json.loads((home / _NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
