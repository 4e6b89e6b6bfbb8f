"""Llama models in llama.cpp's single-file format, dequantised tensor by tensor.

The file is mapped, so only the held layers' tensors are read and written out in full precision.
The package ``gguf`` is an extra: it is imported where a .gguf file is met.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig

from mpiedge.errors import BadInput
from mpiedge.model.source import Source

ARCHITECTURE = "llama"
_HEADS = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}


def gguf_config(source: Source) -> Any:
    """The transformers configuration that a .gguf file's header describes."""
    _package()
    try:
        config = AutoConfig.from_pretrained(source.place, gguf_file=source.gguf)
    except (ValueError, KeyError, IndexError, OSError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise BadInput(
            f"model.name: {source.name} cannot be used ({reason}); copy the file anew, or choose "
            f"a .gguf file of the family {ARCHITECTURE}"
        ) from error
    if config.model_type != ARCHITECTURE:
        raise BadInput(
            f"model.name: {source.name} is of the family {config.model_type}; of .gguf files only "
            f"{ARCHITECTURE} can be used"
        )
    return config


class GgufCheckpoint:
    """The tensors of a .gguf file under the names of a transformers Llama."""

    def __init__(self, source: Source, config: Any) -> None:
        gguf = _package()
        self._config, self._dequantize = config, gguf.dequantize
        self._path = source.require(str(source.gguf))
        self._tensors = {each.name: each for each in gguf.GGUFReader(self._path).tensors}
        arch = gguf.MODEL_ARCH.LLAMA
        self._map = gguf.get_tensor_name_map(arch, config.num_hidden_layers)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file that holds the tensors."""
        return (self._path,)

    def locate(self, names: Sequence[str]) -> str | None:
        """What the file calls a tensor that the model knows by any of these names."""
        found = (self._map.get_name(name, try_suffixes=(".weight", ".bias")) for name in names)
        return next((name for name in found if name in self._tensors), None)

    def read(self, stored: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Tensors by the file's own names, one at a time, in float32."""
        for name in stored:
            tensor = self._tensors[name]
            values = self._dequantize(tensor.data, tensor.tensor_type)
            # What was not quantised is still a part of the file, which torch must not write to.
            values = np.require(values, requirements="W")
            yield name, self._in_halves(name, torch.from_numpy(values))

    def _in_halves(self, name: str, values: Tensor) -> Tensor:
        """Rows of queries and keys: llama.cpp interleaves what transformers keeps in two halves."""
        kind = name.split(".")[-2]
        if kind not in _HEADS:
            return values
        heads = self._config.to_dict()[_HEADS[kind]]
        pairs = values.view(heads, len(values) // heads // 2, 2, *values.shape[1:])
        return pairs.transpose(1, 2).reshape(values.shape)


def _package() -> Any:
    try:
        import gguf  # noqa: PLC0415
    except ImportError as error:
        raise BadInput(
            "model.name: a .gguf file needs the package gguf; pip install gguf"
        ) from error
    return gguf
