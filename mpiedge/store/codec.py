"""From float32 tensors to stored rows of bytes and back.

Float16 and bfloat16 are rounded to.  Int8 has one scale a token, the token's largest magnitude
over 127, so that no number of it is off by more than a 254th of that magnitude.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.store.checksum import Bytes
from mpiedge.store.layout import SCALE_BYTES, Layout

_LEVELS = 127
_FLOATS = {
    "float32": (torch.float32, np.float32),
    "float16": (torch.float16, np.float16),
    "bfloat16": (torch.bfloat16, np.int16),  # numpy has no bfloat16: its bits
}


class Codec(NamedTuple):
    """How one number format is written to rows of bytes, and read from them."""

    write: Callable[[Tensor, Bytes], None]  # [rows, width] of any float format to [rows, bytes]
    read: Callable[[Bytes, Tensor], None]  # [rows, bytes] to a float32 view [layers, rows', width]


def codec(layout: Layout) -> Codec:
    """The codec of a layout's number format."""
    if layout.dtype == "int8":
        return Codec(_write_int8, _read_int8)
    torch_type, numpy_type = _FLOATS[layout.dtype]

    def numbers(rows: Bytes, width: int) -> Tensor:
        viewed = torch.from_numpy(rows.view(numpy_type))[:, :width]
        return viewed if viewed.dtype == torch_type else viewed.view(torch_type)

    def write(values: Tensor, rows: Bytes) -> None:
        stored = numbers(rows, values.shape[1])
        stored.copy_(values)
        if layout.dtype == "float16" and not torch.isfinite(stored).all():
            raise _too_large(values, "float16", "bfloat16")

    def read(rows: Bytes, out: Tensor) -> None:
        out.copy_(numbers(rows, out.shape[-1]).view(out.shape))

    return Codec(write, read)


def _int8(rows: Bytes, width: int) -> tuple[Tensor, Tensor]:
    """The scales [rows, 1] and the levels [rows, width], as views."""
    scales = torch.from_numpy(rows[:, :SCALE_BYTES].view(np.float32))
    levels = torch.from_numpy(rows[:, SCALE_BYTES : SCALE_BYTES + width].view(np.int8))
    return scales, levels


def _write_int8(values: Tensor, rows: Bytes) -> None:
    scales, levels = _int8(rows, values.shape[1])
    plain = values.float()
    scales.copy_(plain.abs().amax(1, keepdim=True).div_(_LEVELS))
    if not torch.isfinite(scales).all():
        raise _too_large(values, "int8", "float32")
    # A scale below the smallest normal number is a token of as good as zeros.
    inverse = 1 / scales.clamp_min(torch.finfo(torch.float32).tiny)
    levels.copy_(plain.mul(inverse).round_().clamp_(-_LEVELS, _LEVELS))


def _read_int8(rows: Bytes, out: Tensor) -> None:
    scales, levels = _int8(rows, out.shape[-1])
    # In two steps: faster than a product of two number formats.
    out.copy_(levels.view(out.shape)).mul_(scales.view(*out.shape[:-1], 1))


def _too_large(values: Tensor, dtype: str, better: str) -> BadInput:
    return BadInput(
        f"cache.dtype {dtype} cannot hold an activation of {values.abs().max():.3g}; "
        f"set cache.dtype to {better}"
    )
