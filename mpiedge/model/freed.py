"""Memory that tensors have left, given back to the system.

The C library keeps what was freed for later, so a process that let half of a model go would look
as large as before, and be killed as such on a small board.
"""

import ctypes

import torch


def give_back() -> None:
    """Return freed memory to the system, where the C library can; on a GPU, torch's own store."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return  # another C library than glibc, which has no such call
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
