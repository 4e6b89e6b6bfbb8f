"""Memory for what arrives, used again once nobody has it any more.

The bodies of messages have few sizes, and come again and again.  Fresh memory has to be made by
the system page by page, which for a large body takes longer than its way between two processes
does; memory that was used a moment ago is still in the processor's cache.
"""

import threading
import weakref
from collections import OrderedDict

import numpy as np

from mpiedge.comm.wire import Memory

_SPARE = 2  # of a size, kept while nobody has them
_KEPT = 32 * 1024 * 1024  # bytes of all that are kept; one larger than that is kept alone


class Rooms:
    """Gives out memory by size; it comes back when the last tensor on it is gone."""

    def __init__(self) -> None:
        # What comes back may do so while something is given out: the garbage collector decides.
        self._lock = threading.RLock()
        self._free: OrderedDict[int, list[Memory]] = OrderedDict()
        self._kept = 0

    def take(self, size: int) -> Memory:
        """Memory of so many bytes; what is in it is what was there before."""
        with self._lock:
            spare = self._free.get(size)
            room = spare.pop() if spare else None
            if room is not None:
                self._kept -= size
        whole: Memory = np.empty(size, dtype=np.uint8) if room is None else room
        # Tensors on it hold the view, and the view alone is told apart from what it is a view of.
        view = whole[:]
        weakref.finalize(view, self._give_back, whole).atexit = False
        return view

    def _give_back(self, room: Memory) -> None:
        with self._lock:
            spare = self._free.setdefault(room.size, [])
            self._free.move_to_end(room.size)
            if len(spare) < _SPARE:
                spare.append(room)
                self._kept += room.size
            while self._kept > _KEPT and self._kept > room.size:
                self._forget(room.size)

    def _forget(self, but: int) -> None:
        """Let go of the size that has not come for longest."""
        size = next(iter(self._free))
        if size == but:
            self._kept -= len(self._free[size]) * size - size
            del self._free[size][1:]
            return
        self._kept -= len(self._free.pop(size)) * size
