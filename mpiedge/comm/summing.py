"""Which tensors can take part in a sum or a broadcast, and as what.

Open MPI sums bfloat16 to nonsense without a word, and reads a transposed tensor in the wrong order
without a word; both are settled here for every transport.
"""

import torch
from torch import Tensor

NARROW = frozenset({torch.bfloat16, torch.float16})


def check_summable(tensor: Tensor) -> None:
    """Refuse a tensor that MPI would read in another order than torch."""
    if tensor.device.type != "cpu" or not tensor.is_contiguous():
        raise ValueError(
            f"collectives take contiguous CPU tensors, not one of strides {tensor.stride()} on "
            f"{tensor.device}; call .cpu().contiguous()"
        )


def widened(tensor: Tensor) -> Tensor:
    """The tensor as it can be summed: itself, or a float32 copy of a 16-bit one."""
    tensor = tensor.detach()
    return tensor.float() if tensor.dtype in NARROW else tensor
