"""The safetensors format, read tensor by tensor into memory of our own.

The library that defines the format maps the whole file copy-on-write.  Linux refuses that where
the file is larger than memory and swap, which on a small board is the usual case, and the pages
of what was read stay until all of it is closed.  Reading just the bytes of a tensor needs neither.

    8 bytes: n | n bytes of JSON: name -> dtype, shape, [start, stop) | the tensors' bytes
"""

import json
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from mpiedge.errors import BadInput

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_LONGEST_HEADER = 100_000_000  # bytes; the format's own limit


class Entry(NamedTuple):
    """Where in the file a tensor is, and what it is."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def entries(path: Path) -> dict[str, Entry]:
    """The tensors of a file by name; a file that is not whole is refused."""
    size = path.stat().st_size
    try:
        found = _parse(path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path.name}: is cut short or damaged, {size:,} bytes are there ({error}); "
            "copy it anew"
        ) from error
    expected = max((entry.stop for entry in found.values()), default=0)
    if size < expected:
        raise BadInput(
            f"{path.name}: is cut short, {size:,} bytes of {expected:,} are there; copy it anew"
        )
    return found


def read_tensors(path: Path, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    """Some tensors of a file, one at a time."""
    found = entries(path)
    with path.open("rb") as file:
        for name in names:
            entry = found[name]
            if entry.dtype not in _DTYPES:
                raise BadInput(
                    f"{path.name}: {name} is in the number format {entry.dtype}; "
                    f"save it in one of {', '.join(_DTYPES)}"
                )
            # Nothing here keeps a tensor while the next one is read.
            yield name, _read(file, entry)


def _read(file: BinaryIO, entry: Entry) -> Tensor:
    content = torch.empty(entry.stop - entry.start, dtype=torch.uint8)
    file.seek(entry.start)
    file.readinto(content.numpy().data)  # type: ignore[attr-defined]
    return content.view(_DTYPES[entry.dtype]).view(entry.shape)


def _parse(path: Path) -> dict[str, Entry]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError("this is no safetensors file")
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {name: _entry(name, fields, 8 + length) for name, fields in header.items()}


def _entry(name: str, fields: dict[str, Any], offset: int) -> Entry:
    start, stop = fields["data_offsets"]
    entry = Entry(fields["dtype"], tuple(fields["shape"]), offset + start, offset + stop)
    dtype = _DTYPES.get(entry.dtype)
    if dtype is not None and stop - start != math.prod(entry.shape) * dtype.itemsize:
        raise ValueError(f"{name} does not have the bytes of its shape {entry.shape}")
    return entry
