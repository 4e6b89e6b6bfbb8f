"""Numbers in 8 or 4 bits: a code each, and one scale for every block of a row.

Plain arithmetic on tensors, apart from what is encoded and why.  Every row is divided into equal
blocks of at most 64 numbers, filled up with zeros at its end, and each block is scaled by its
largest absolute value.  The same numbers give the same codes on any device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

_BLOCK = 64  # numbers that share a scale, at most
_PIECE = 1 << 16  # numbers encoded at a time: what is needed on the way stays small
# The 16 values of NF4, equally likely under a normal distribution (QLoRA, appendix E).
_NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)


@dataclass(frozen=True)
class Format:
    """One way to write a number, scaled into -1 .. 1, in few bits."""

    dtype: torch.dtype  # of the codes
    per_byte: int
    steps: float  # what the largest number of a block is as a code
    encode: Callable[[Tensor], Tensor]  # [..., block] float32 -> codes [..., block / per_byte]
    decode: Callable[[Tensor], Tensor]  # and back, as a tensor of its own


@dataclass(frozen=True)
class Codes:
    """A matrix [rows, columns] in few bits."""

    codes: Tensor  # [rows, blocks, bytes of a block]
    scales: Tensor  # [rows, blocks, 1] bfloat16
    columns: int
    form: Format

    def decoded(self, dtype: torch.dtype) -> Tensor:
        """The matrix as plain numbers, as near as its codes come to them."""
        values = self.form.decode(self.codes).mul_(self.scales)
        return values.flatten(1)[:, : self.columns].to(dtype)

    def rows(self, chosen: Tensor) -> "Codes":
        """Some rows, by their numbers [n]."""
        codes, scales = (each.index_select(0, chosen) for each in (self.codes, self.scales))
        return Codes(codes, scales, self.columns, self.form)

    def part(self, rows: slice) -> "Codes":
        """Neighbouring rows; shares its memory with them."""
        return Codes(self.codes[rows], self.scales[rows], self.columns, self.form)

    def to(self, device: torch.device) -> "Codes":
        """The same on another device."""
        return Codes(self.codes.to(device), self.scales.to(device), self.columns, self.form)

    @property
    def nbytes(self) -> int:
        """How much memory they take."""
        return self.codes.nbytes + self.scales.nbytes


def encode(values: Tensor, form: Format) -> Codes:
    """A matrix [rows, columns] of any floating type in few bits, each number at the nearest code.

    Block-wise absmax quantisation as in LLM.int8() and QLoRA.  Scales are bfloat16: they have the
    range of float32, and codes are chosen for the rounded scale, so nothing is lost by it.
    """
    rows, columns = values.shape
    blocks, block = _division(columns, form)
    codes = torch.empty(rows, blocks, block // form.per_byte, dtype=form.dtype)
    scales = torch.empty(rows, blocks, 1, dtype=torch.bfloat16)
    step = max(1, _PIECE // max(1, columns))
    for piece in (slice(first, first + step) for first in range(0, rows, step)):
        part = functional.pad(values[piece].cpu().float(), (0, blocks * block - columns))
        part = part.view(-1, blocks, block)
        scale = (part.abs().amax(dim=2, keepdim=True) / form.steps).bfloat16()
        scales[piece] = scale.masked_fill_(scale == 0, 1)
        codes[piece] = form.encode(part / scale.float())
    return Codes(codes, scales, columns, form)


def size(shape: torch.Size, form: Format) -> int:
    """How many bytes a matrix takes in a format."""
    rows, columns = shape
    blocks, block = _division(columns, form)
    return rows * blocks * (block // form.per_byte * form.dtype.itemsize + 2)


def _division(columns: int, form: Format) -> tuple[int, int]:
    """How many blocks a row has, and how many numbers a block."""
    blocks = max(1, -(-columns // _BLOCK))
    block = -(-columns // blocks)
    return blocks, -(-block // form.per_byte) * form.per_byte


def _round(scaled: Tensor) -> Tensor:
    return scaled.round_().clamp_(-127, 127).to(torch.int8)


def _nearest(scaled: Tensor) -> Tensor:
    """Two codes a byte: the numbers of the nearest values, the first in the higher bits."""
    codes = torch.zeros(scaled.shape, dtype=torch.uint8)
    for lower, upper in pairwise(_NF4):
        codes += scaled > (lower + upper) / 2
    return codes[..., 0::2] << 4 | codes[..., 1::2]


def _look_up(codes: Tensor) -> Tensor:
    pairs = _pairs(codes.device).index_select(0, codes.flatten().int())
    return pairs.view(torch.float32).view(*codes.shape[:-1], -1)


@cache
def _pairs(device: torch.device) -> Tensor:
    """The two values of every byte [256], each pair in one 64-bit place.

    Looked up so, a pair costs what one number does: more than twice as fast as nibble by nibble.
    """
    book = torch.tensor(_NF4, device=device)
    return torch.cartesian_prod(book, book).view(torch.float64).flatten()


INT8 = Format(torch.int8, 1, 127.0, _round, lambda codes: codes.to(torch.float32))
NF4 = Format(torch.uint8, 2, 1.0, _nearest, _look_up)
