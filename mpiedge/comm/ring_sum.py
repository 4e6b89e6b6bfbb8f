"""The sum of an array over a group of ranks, passed on around a ring.

Every rank sends and receives ``2 (n - 1) / n`` of the array, the least there is whatever the size
of the group, and only to and from its neighbours (Patarasuk and Yuan, 2009).  What comes is added
and passed on in chunks, so that a link has always something to carry: with whole parts it would
rest while both of its ends add.  MPI's own non-blocking sum sends a multiple of the bytes, its
blocking one spins meanwhile and has no deadline (``launch/bench/comm`` has all three).

    turn      0              1          ..  n - 1               n           ..
    sends     own part       the one        the part that is    the one
                             added to       whole here          that came
    receives  added to ours  added          put in place        put in place ..
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mpi4py import MPI
from torch import Tensor

from mpiedge.comm.summing import NARROW
from mpiedge.comm.traffic import AT_ONCE

Array = npt.NDArray[Any]

LEAST = 32 * 1024  # bytes, below which a ring's many messages take longer than MPI's few

_MOST = 64  # chunks that are sent before one has come: what the next rank may have to keep
_AHEAD = 16  # chunks that may come before they are wanted
_ALONE = 1 << 14  # numbers that torch adds in the thread that asks: the others compute
_TAGS = 1 << 14  # sums that may be under way in a group, and more than ever are


class RingSum:
    """One sum under way, in place; started by all ranks of ``comm`` in the same order.

    All come to the same values bit for bit, as each part is added up on one rank after the other:
    a ``tensor`` of 16 bits, flat as all, is rounded on each.  ``moved`` is called whenever
    something came from the rank before.
    """

    def __init__(
        self, comm: MPI.Intracomm, tensor: Tensor, number: int, moved: Callable[[], None]
    ) -> None:
        self._comm, self._moved, self._tag = comm, moved, number % _TAGS
        # numpy and MPI know nothing of bfloat16: what crosses is its bits.
        self._narrow = tensor.dtype if tensor.dtype in NARROW else None
        array = (tensor.view(torch.int16) if self._narrow else tensor).numpy()
        self._ranks, self._here = comm.Get_size(), comm.Get_rank()
        parts = np.array_split(array, self._ranks)
        self._count = max(1, -(-parts[0].nbytes // AT_ONCE))
        self._chunks = [np.array_split(part, self._count) for part in parts]
        self._last = 2 * (self._ranks - 1) * self._count  # messages each way
        self._rooms = [np.empty_like(self._chunks[0][0]) for _ in range(min(_AHEAD, self._last))]
        self._coming: deque[tuple[MPI.Request, Array]] = deque()
        self._leaving: deque[MPI.Request] = deque()
        self._sent = self._left = self._asked = self._taken = 0
        for _ in range(min(_MOST, self._count)):
            self._send()
        self._ask()

    @property
    def done(self) -> bool:
        """Whether the sum is there, and nothing is on its way any more."""
        return self._taken == self._left == self._last

    def step(self) -> bool:
        """Do what can be done now; whether anything was."""
        before = self._taken + self._left
        while self._coming and self._coming[0][0].Test():
            self._take(self._coming.popleft()[1])
        while self._leaving and self._leaving[0].Test():
            self._leaving.popleft()
            self._left += 1
        self._ask()
        return self._taken + self._left > before

    def _take(self, chunk: Array) -> None:
        """What came is added to this rank's, or is what all come to; pass it on."""
        turn, place = divmod(self._taken, self._count)
        if turn < self._ranks - 1:
            mine = self._chunks[(self._here - turn - 1) % self._ranks][place]
            if self._narrow is None:
                mine += chunk
            else:
                _add(mine, chunk, self._narrow)
        self._taken += 1
        self._moved()
        if self._sent < self._last:
            self._send()

    def _send(self) -> None:
        turn, place = divmod(self._sent, self._count)
        chunk = self._chunks[(self._here - turn) % self._ranks][place]
        after = (self._here + 1) % self._ranks
        self._leaving.append(self._comm.Isend(chunk, after, self._tag))
        self._sent += 1

    def _ask(self) -> None:
        """Be ready for what comes next, as far as there is room."""
        while self._asked < min(self._last, self._taken + len(self._rooms)):
            turn, place = divmod(self._asked, self._count)
            whole = turn - (self._ranks - 1)
            size = self._chunks[(self._here - turn - 1) % self._ranks][place].size
            if whole < 0:
                into = self._rooms[self._asked % len(self._rooms)][:size]
            elif whole * self._count + place >= self._left:
                return  # what stands there has not left yet
            else:
                into = self._chunks[(self._here - whole) % self._ranks][place]
            before = (self._here - 1) % self._ranks
            self._coming.append((self._comm.Irecv(into, before, self._tag), into))
            self._asked += 1


def _add(mine: Array, chunk: Array, dtype: torch.dtype) -> None:
    """Add numbers of which both arrays have the bits."""
    sums, others = (torch.from_numpy(each).view(dtype) for each in (mine, chunk))
    for start in range(0, len(sums), _ALONE):
        sums[start : start + _ALONE] += others[start : start + _ALONE]
