"""The tensors of a checkpoint, each read only when it is asked for.

No file is read whole.  Names are looked up as they are found in the wild: with or without the
backbone's prefix, and with the norms' old ``gamma`` and ``beta``.
"""

import json
import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.model.source import Source
from mpiedge.model.tensor_file import entries, read_tensors

_OLD = {".gamma": ".weight", ".beta": ".bias"}


class Checkpoint(Protocol):
    """Where a model's tensors are read from."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the tensors."""

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

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the tensors."""
        return tuple(self._source.require(name) for name in sorted(set(self._files.values())))

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
    # Opened anew for each: the mapped pages of one are given back before the next is read.
    for name in names:
        yield name, _open_torch(path)[name].clone()


SAFETENSORS = Format(
    "model.safetensors",
    "model.safetensors.index.json",
    lambda path: list(entries(path)),
    read_tensors,
)
TORCH = Format("pytorch_model.bin", "pytorch_model.bin.index.json", _names_in_torch, _read_torch)
