"""A part of a run's state on the disk: whole or absent, and never read damaged.

    update-00000128.2-of-3.c0ffee0123456789.safetensors

A checkpoint is one file from every rank.  Its name says after how many updates it was written,
which part it is, and the digest of its content: a file that was cut short or changed is not what
its name says, and counts as absent.  It is written beside its place, synced and renamed.

It is a safetensors file, written in pieces straight from the tensors: where a whole model is tuned
they fill the device, and the library's own writing would hold two more copies of them.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

PIECE = 1 << 22  # bytes; our design: far more than a message's latency is worth, and little memory

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ALIGNED = 8  # bytes: so long, or a multiple, is what comes before the tensors
_BESIDE = re.compile(r"\.update-(\d{8,})\..+")
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


class Writing:
    """A part that comes in pieces; it is there once it is ``placed``, else nothing is left of it.

    What goes wrong is kept until then, for who sends the pieces is to be heard out.
    """

    def __init__(self, folder: Path, update: int, number: int, parts: int) -> None:
        self._folder, self._numbers = folder, (update, number, parts)
        self._digest = hashlib.blake2b(digest_size=8)
        self._beside = folder / f".update-{update:08d}.{number}.{os.getpid()}.{token_hex(4)}"
        self._file: Any = None
        self._wrong: OSError | None = None

    def __enter__(self) -> "Writing":
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._beside.open("wb")
        except OSError as error:
            self._wrong = error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
            self._beside.unlink(missing_ok=True)

    def add(self, piece: memoryview) -> None:
        """What comes next."""
        self._digest.update(piece)
        if self._wrong is None:
            try:
                self._file.write(piece)
            except OSError as error:
                self._wrong = error

    def placed(self) -> Part:
        """Which part it is, now that it is whole and on the disk; raises OSError.

        A file that is there already has the same content, as its name says.
        """
        if self._wrong is not None:
            raise self._wrong
        part = Part(*self._numbers, self._digest.hexdigest())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._beside.replace(self._folder / part.name)
        _sync(self._folder)
        return part


def pieces_of(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> list[memoryview]:
    """A part's bytes, at most ``PIECE`` at a time: a safetensors file, plain values in its header.

    They are the tensors' own memory where those are contiguous and on the host.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = bytearray(_header(whole, facts))
    return [memoryview(header), *(piece for each in whole.values() for piece in _pieces(each))]


def write(folder: Path, update: int, number: int, parts: int, pieces: Sequence[memoryview]) -> Part:
    """Put a part into a folder, which is made if need be; raises OSError."""
    with Writing(folder, update, number, parts) as writing:
        for piece in pieces:
            writing.add(piece)
        return writing.placed()


def _header(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    said: dict[str, Any] = {"__metadata__": {_FACTS: json.dumps(facts)}}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        place = {"shape": list(tensor.shape), "data_offsets": [begin, end]}
        said[name] = {"dtype": _TYPES[tensor.dtype], **place}
    text = json.dumps(said).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(8, "little") + text


def _pieces(tensor: Tensor) -> Iterator[memoryview]:
    raw: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return (raw[at : at + PIECE] for at in range(0, tensor.nbytes, PIECE))


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
    for path in folder.glob(".update-*"):
        beside = _BESIDE.fullmatch(path.name)
        # That of the newest may still be written, by another rank on this disk.
        if beside and (not kept or int(beside[1]) < kept[0]):
            path.unlink(missing_ok=True)


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
