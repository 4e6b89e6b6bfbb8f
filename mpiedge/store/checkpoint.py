"""A part of a run's state on the disk: whole or absent, and never read damaged.

    update-00000128.2-of-3.c0ffee0123456789.safetensors

A checkpoint is one file from every rank.  Its name says after how many updates it was written,
which part it is, and the digest of its content: a file that was cut short or changed is not what
its name says, and counts as absent.  It is written beside its place, synced and renamed.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

_NAME = re.compile(r"update-(\d{8,})\.(\d+)-of-(\d+)\.([0-9a-f]{16})\.safetensors")
_FACTS = "mpiedge"


class Part(NamedTuple):
    """Which part of which checkpoint a file is."""

    update: int  # updates made before it was written
    number: int  # from 0
    parts: int
    digest: str  # of the file's bytes

    @property
    def name(self) -> str:
        """The file's name."""
        return f"update-{self.update:08d}.{self.number}-of-{self.parts}.{self.digest}.safetensors"


class Contents(NamedTuple):
    """What a part says: tensors by name, and plain values."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def packed(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """A part's bytes: a safetensors file, with the plain values as JSON in its header."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content: bytes = save(whole, {_FACTS: json.dumps(facts)})
    return content


def part_of(content: bytes, update: int, number: int, count: int) -> Part:
    """What a part of these bytes is called."""
    return Part(update, number, count, _digest(content))


def write(folder: Path, part: Part, content: bytes) -> None:
    """Put a part into a folder, which is made if need be; raises OSError.

    A file that is there already has the same content, as its name says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / part.name
    if place.exists():
        return
    beside = folder / f".{part.name}.{os.getpid()}"
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
        _sync(folder)
    finally:
        beside.unlink(missing_ok=True)


def parts_in(folder: Path) -> tuple[Part, ...]:
    """The parts that a folder has by name, the newest first."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("update-*.safetensors"))
    parts = (Part(int(f[1]), int(f[2]), int(f[3]), f[4]) for f in names if f)
    return tuple(sorted(parts, reverse=True))


def content_of(folder: Path, part: Part) -> bytes | None:
    """A part's bytes; nothing where they are not what the name says, or gone."""
    try:
        content = (folder / part.name).read_bytes()
    except OSError:
        return None
    return content if _digest(content) == part.digest else None


def unpacked(content: bytes) -> Contents | None:
    """What whole bytes say; nothing where they are no part of ours."""
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_FACTS])
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None
    return Contents(tensors, facts) if isinstance(facts, dict) else None


def keep_last(folder: Path, updates: int) -> None:
    """Remove the parts of all but the last so many updates, and what was left half written."""
    parts = parts_in(folder)
    kept = sorted({part.update for part in parts}, reverse=True)[:updates]
    for part in parts:
        if part.update not in kept:
            (folder / part.name).unlink(missing_ok=True)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _sync(folder: Path) -> None:
    """Have the system write the folder's list of names; not every file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
