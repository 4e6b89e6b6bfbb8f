"""The tensors of a checkpoint, each read only when it is asked for.

Files are mapped into memory, never read whole: a rank touches just the pages of its own layers,
and ranks that share a machine share them.  Names are looked up as they are found in the wild:
with or without the backbone's prefix, and with the norms' old ``gamma`` and ``beta``.
"""

import json
import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.model.source import Source

_OLD = {".gamma": ".weight", ".beta": ".bias"}


class Checkpoint(Protocol):
    """Where a model's tensors are read from."""

    def locate(self, names: Sequence[str]) -> str | None:
        """What the checkpoint calls a tensor that the model knows by any of these names."""

    def read(self, stored: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Tensors by the checkpoint's own names, one at a time."""


@dataclass(frozen=True)
class Format:
    """One way to write tensors to files."""

    single: str
    index: str
    names: Callable[[Path], list[str]]
    read: Callable[[Path, Collection[str]], Iterator[tuple[str, Tensor]]]


class FileCheckpoint:
    """A checkpoint in one file, or in several with an index."""

    def __init__(self, source: Source, prefix: str) -> None:
        self._source, self._prefix = source, prefix
        self._format, self._files = _survey(source)
        self._stored = {self._plain(name): name for name in self._files}

    def locate(self, names: Sequence[str]) -> str | None:
        """What the checkpoint calls a tensor that the model knows by any of these names."""
        found = (self._stored.get(self._plain(name)) for name in names)
        return next((name for name in found if name is not None), None)

    def read(self, stored: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Tensors by the checkpoint's own names, one at a time, file by file."""
        for file in sorted({self._files[name] for name in stored}):
            path = self._source.require(file)
            wanted = [name for name in stored if self._files[name] == file]
            yield from self._format.read(path, wanted)

    def _plain(self, name: str) -> str:
        name = name.removeprefix(self._prefix)
        old = next((ending for ending in _OLD if name.endswith(ending)), None)
        return name if old is None else name.removesuffix(old) + _OLD[old]


def _survey(source: Source) -> tuple[Format, dict[str, str]]:
    """How the checkpoint is written, and the file of each tensor."""
    for form in (SAFETENSORS, TORCH):
        path = source.file(form.single)
        if path is not None:
            return form, dict.fromkeys(form.names(path), form.single)
        path = source.file(form.index)
        if path is not None:
            return form, _read_index(path)
    raise BadInput(
        f"model.name: {source.name} has no weights: neither {SAFETENSORS.single}, "
        f"{SAFETENSORS.index}, {TORCH.single} nor {TORCH.index}; copy the model anew"
    )


def _read_index(path: Path) -> dict[str, str]:
    try:
        files: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path.name}: is no index of a model's files ({error!r}); copy it anew"
        ) from error
    return files


def _names_in_safetensors(path: Path) -> list[str]:
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _read_safetensors(path: Path, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in names:
                yield name, file.get_tensor(name)
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BadInput:
    size, expected = path.stat().st_size, _expected_size(path)
    whole = "" if expected is None or expected == size else f" of {expected:,}"
    return BadInput(
        f"{path.name}: is cut short or damaged, {size:,} bytes{whole} are there ({error}); "
        "copy it anew"
    )


def _expected_size(path: Path) -> int | None:
    """How long a safetensors file says it is: 8 bytes, a header of that length, the tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header: dict[str, Any] = json.loads(file.read(min(length, path.stat().st_size)))
        except ValueError:
            return None
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0)


def _open_torch(path: Path) -> dict[str, Any]:
    try:
        tensors: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(
            f"{path.name}: cannot be mapped into memory as weights and nothing else, "
            f"{path.stat().st_size:,} bytes are there ({reason}); copy it anew, or load it with "
            "transformers where it was made and save it as safetensors"
        ) from error
    return tensors


def _names_in_torch(path: Path) -> list[str]:
    return [name for name, value in _open_torch(path).items() if isinstance(value, Tensor)]


def _read_torch(path: Path, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    tensors = _open_torch(path)
    for name in names:
        yield name, tensors[name]


SAFETENSORS = Format(
    "model.safetensors",
    "model.safetensors.index.json",
    _names_in_safetensors,
    _read_safetensors,
)
TORCH = Format("pytorch_model.bin", "pytorch_model.bin.index.json", _names_in_torch, _read_torch)
