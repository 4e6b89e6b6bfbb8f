"""Scattering and gathering by ``MPI_Iscatterv`` and ``MPI_Igatherv``, never waited for inside MPI.

Apart from ``circle``, which a run without MPI can import.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from mpi4py import MPI

from mpiedge.comm.circle import Gathering
from mpiedge.comm.ledger import Ledger
from mpiedge.comm.tag import Kind
from mpiedge.comm.wire import Memory

_MOST = 2**31 - 1  # bytes that MPI counts

Wait = Callable[[Callable[[], bool], Sequence[int]], None]
"""Waits for some ranks until something is done, with the transport's deadline."""


class MpiCircle:
    """A circle of the ranks of a communicator, known to mpiedge as ``ranks``."""

    def __init__(
        self, comm: MPI.Intracomm, ranks: Sequence[int], root: int, wait: Wait, ledger: Ledger
    ) -> None:
        self._comm, self._ranks, self._root = comm, tuple(ranks), root
        self._wait, self._ledger = wait, ledger
        self._place = self._ranks.index(root)
        self._here = comm.Get_rank() == self._place

    def scatter(self, parts: Sequence[Memory], size: int) -> Memory:
        """By ``MPI_Iscatterv``."""
        mine, whole = np.empty(size, dtype=np.uint8), np.concatenate([_NONE, *parts])
        sizes = [part.size for part in parts]
        given = [whole, *_places(sizes), MPI.BYTE] if self._here else None
        request = self._comm.Iscatterv(given, [mine, MPI.BYTE], self._place)
        self._wait(request.Test, self._others() if self._here else [self._root])
        self._note(size, sizes, down=True)
        return mine

    def gather(self, mine: Memory, sizes: Sequence[int]) -> Gathering:
        """By ``MPI_Igatherv``."""
        sizes = tuple(sizes) if self._here else ()
        whole = np.empty(sum(sizes), dtype=np.uint8)
        taken = [whole, *_places(sizes), MPI.BYTE] if self._here else None
        request = self._comm.Igatherv([mine, MPI.BYTE], taken, self._place)
        self._note(mine.size, sizes, down=False)
        awaited = self._others() if self._here else [self._root]

        return _Pending(request, awaited, self._wait, (mine, whole, sizes))

    def _others(self) -> list[int]:
        return [rank for rank in self._ranks if rank != self._root]

    def _note(self, size: int, sizes: Sequence[int], *, down: bool) -> None:
        """Count what passes, at both ends; to oneself it is no traffic."""
        ledger = self._ledger
        if not self._here:
            note = ledger.note_received if down else ledger.note_sent
            note(Kind.COLLECTIVE, self._root, size)
            return
        note = ledger.note_sent if down else ledger.note_received
        for rank, each in zip(self._ranks, sizes, strict=True):
            if rank != self._root:
                note(Kind.COLLECTIVE, rank, each)


_NONE = np.empty(0, dtype=np.uint8)


class _Pending:
    """A request, and the memory that MPI reads from and writes to until it is done."""

    def __init__(
        self,
        request: MPI.Request,
        awaited: Sequence[int],
        wait: Wait,
        memory: tuple[Memory, Memory, tuple[int, ...]],
    ) -> None:
        self._request, self._awaited, self._wait, self._memory = request, awaited, wait, memory

    def finish(self) -> tuple[Memory, ...]:
        self._wait(self._request.Test, self._awaited)
        _, whole, sizes = self._memory
        ends = list(accumulate(sizes))
        return tuple(whole[end - size : end] for size, end in zip(sizes, ends, strict=True))


def _places(sizes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Counts and displacements as MPI wants them."""
    if sum(sizes) > _MOST:
        raise ValueError(f"{sum(sizes)} bytes at once are more than MPI counts, {_MOST}")
    return list(sizes), [0, *accumulate(sizes)][: len(sizes)]
