"""The wire format: a row of tensors as a head and bodies.

The head is one message: int64 words that describe the tensors, then the data of the small ones.
A large tensor is a body: it leaves from its own memory and arrives in the memory of the receiver's
new tensor, so nothing is pickled and nothing large is copied (a tensor that is not contiguous is
made so first).

    head   words | kind number place | tensors | dtype gradient inline dims shape.. | .. | data..
    body   the bytes of the first tensor that is not inline
    body   ...
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mpiedge.comm.tag import Kind, Tag

Memory = npt.NDArray[np.uint8]
Room = Callable[[int], Memory]
"""Gives memory of so many bytes."""

INLINE = 16 * 1024  # bytes of the largest tensor that travels in the head
_WORD = 8  # bytes of an int64

_DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
_CODES = {dtype: code for code, dtype in enumerate(_DTYPES)}


def fresh(size: int) -> Memory:
    """Memory that nobody has used."""
    return np.empty(size, dtype=np.uint8)


class Encoded(NamedTuple):
    """A message as it leaves: the head, and memory that must not change until it has left."""

    head: Memory
    bodies: tuple[Memory, ...]

    def size(self) -> int:
        """Bytes of the whole message."""
        return self.head.size + sum(body.size for body in self.bodies)


class Decoded(NamedTuple):
    """A message of which the head has come; its tensors are whole once the bodies are filled."""

    tag: Tag
    tensors: tuple[Tensor, ...]
    bodies: tuple[Memory, ...]


def encode(tensors: Sequence[Tensor], tag: Tag) -> Encoded:
    """The message ``tag`` of ``tensors``; large ones are referred to, not copied."""
    memories = [memory_of(tensor) for tensor in tensors]
    words = [tag.kind, tag.number, tag.place, len(tensors)]
    for tensor, memory in zip(tensors, memories, strict=True):
        inline = memory.size <= INLINE
        words += [_CODES[tensor.dtype], tensor.requires_grad, inline, tensor.dim(), *tensor.shape]
    described = np.array([len(words), *words], dtype=np.int64).view(np.uint8)
    small = [memory for memory in memories if memory.size <= INLINE]
    large = tuple(memory for memory in memories if memory.size > INLINE)
    return Encoded(np.concatenate([described, *small]), large)


def decode(head: Memory, room: Room = fresh) -> Decoded:
    """The tensors a head describes: small ones filled, large ones on a ``room`` to be filled."""
    length = int(head[:_WORD].view(np.int64)[0])
    offset = _WORD * (1 + length)
    words = iter(head[_WORD:offset].view(np.int64).tolist())
    tag = Tag(Kind(next(words)), next(words), next(words))
    tensors, bodies = [], []
    for _ in range(next(words)):
        dtype, wants_gradient, inline = _DTYPES[next(words)], bool(next(words)), next(words)
        shape = [next(words) for _ in range(next(words))]
        size = prod(shape) * dtype.itemsize
        memory = fresh(size) if inline else room(size)
        if inline:
            memory[:] = head[offset : offset + size]
            offset += size
        else:
            bodies.append(memory)
        tensors.append(_laid_on(memory, dtype, shape).requires_grad_(wants_gradient))
    return Decoded(tag, tuple(tensors), tuple(bodies))


def handed(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """A message to oneself: the same memory, cut from the sender's graph."""
    return tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors)


def memory_of(tensor: Tensor) -> Memory:
    """The bytes of a CPU tensor, in place where it is contiguous."""
    if tensor.device.type != "cpu":
        raise ValueError(f"messages take CPU tensors, not one on {tensor.device}; call .cpu()")
    if tensor.dtype not in _CODES:
        raise ValueError(f"messages cannot carry {tensor.dtype}; convert it to one of {_DTYPES}")
    memory: Memory = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    return memory


def _laid_on(memory: Memory, dtype: torch.dtype, shape: Sequence[int]) -> Tensor:
    """A tensor whose storage the memory is."""
    if not memory.size:
        return torch.empty(list(shape), dtype=dtype)
    return torch.from_numpy(memory).view(dtype).view(list(shape))
