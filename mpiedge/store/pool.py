"""Large buffers that are used again: fresh memory costs several times what filling it costs."""

import threading
import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mpiedge.store.checksum import Bytes


class Pool:
    """Gives out float32 tensors; their memory comes back when the last view of one is gone."""

    def __init__(self, spare: int) -> None:
        self._spare = spare  # buffers kept while nobody has them
        self._free: list[Bytes] = []
        # The garbage collector may give something back while something is given out.
        self._lock = threading.RLock()
        self._size = 0  # bytes; of the largest tensor so far

    def take(self, shape: Sequence[int]) -> Tensor:
        """A tensor of this shape; what is in it is what was there before."""
        count = int(np.prod(shape))
        buffer = self._buffer(4 * count)
        view = buffer[: 4 * count].view(np.float32)
        # The tensor's storage holds the view, and so do all tensors on the same storage.
        weakref.finalize(view, self._give_back, buffer).atexit = False
        return torch.from_numpy(view).view(*shape)

    def _buffer(self, size: int) -> Bytes:
        with self._lock:
            self._size = max(self._size, size)
            fitting = [one for one in self._free if len(one) >= size]
            self._free = fitting[1:]  # smaller ones would not fit again soon
            return fitting[0] if fitting else np.empty(self._size, dtype=np.uint8)

    def _give_back(self, buffer: Bytes) -> None:
        with self._lock:
            if len(buffer) >= self._size and len(self._free) < self._spare:
                self._free.append(buffer)
