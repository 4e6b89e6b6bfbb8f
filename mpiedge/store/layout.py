"""What a record holds, and how many bytes it takes.

A record is what the backbone made of one example in one run of layers, without padding: a row of
bytes a token and layer, layer after layer.  Below the bridge a layer has the source's tokens,
from the bridge on the target's.

    float32, float16, bfloat16   width numbers           | zeros up to a multiple of 8 bytes
    int8                         scale (float32) | width | zeros up to a multiple of 8 bytes
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
SCALE_BYTES = 4
_WORD = 8  # bytes; what the checksum adds up
# What the index, the format and the padding to whole pages take at most.
_PER_EXAMPLE, _SLACK, _PER_STORE = 48, 1.002, 64 * 1024  # bytes, ratio, bytes


class Counts(NamedTuple):
    """The real tokens of an example; ``target`` is 0 where there is no decoder of its own."""

    source: int
    target: int = 0


class Stack(NamedTuple):
    """Neighbouring layers with the same number of tokens."""

    layers: range
    tokens: int


@dataclass(frozen=True)
class Layout:
    """The shape and the number format of every record of a cache."""

    layers: int  # all but the head: embedding, blocks, and the bridge where there is one
    width: int
    bridge: int  # the first layer with the target's tokens; ``layers`` where there is none
    dtype: str  # cache.dtype

    def row_bytes(self) -> int:
        """The bytes of one token in one layer."""
        scale = SCALE_BYTES if self.dtype == "int8" else 0
        return -(-(self.width * ITEM_BYTES[self.dtype] + scale) // _WORD) * _WORD

    def stacks(self, layers: range, counts: Counts) -> list[Stack]:
        """The parts of a run of layers that have the same number of tokens."""
        cut = min(max(self.bridge, layers.start), layers.stop)
        parts = (
            Stack(range(layers.start, cut), counts.source),
            Stack(range(cut, layers.stop), counts.target),
        )
        return [part for part in parts if len(part.layers)]

    def rows(self, layers: range, counts: Counts) -> int:
        """The rows of a record."""
        return sum(len(stack.layers) * stack.tokens for stack in self.stacks(layers, counts))

    def record_bytes(self, layers: range, counts: Counts) -> int:
        """The bytes of a record."""
        return self.rows(layers, counts) * self.row_bytes()

    def total_bytes(self, counts: Iterable[Counts], layers: range | None = None) -> int:
        """The bytes of so many examples on disk, index and all; every layer if none are named."""
        every = range(self.layers) if layers is None else layers
        sizes = [self.record_bytes(every, one) for one in counts]
        return int((sum(sizes) + _PER_EXAMPLE * len(sizes)) * _SLACK) + _PER_STORE
