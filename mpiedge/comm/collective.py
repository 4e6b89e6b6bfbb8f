"""Sums and broadcasts over any group of ranks, without ever waiting inside MPI.

Non-blocking operations are started here and finished by whoever waits, so that the deadline
holds.  Large ones go in pieces, as messages do.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy.typing as npt
from mpi4py import MPI

Array = npt.NDArray[Any]
Start = Callable[[Array], MPI.Request]

_PIECE = 8 * 1024 * 1024  # bytes; a slow link moves a piece well within any sensible timeout


class Groups:
    """A communicator for each group of ranks that ever did something together."""

    def __init__(self, comm: MPI.Intracomm) -> None:
        self._comm = comm
        self._groups = {tuple(range(comm.Get_size())): comm}

    def known(self, ranks: tuple[int, ...]) -> bool:
        """Whether the group exists already."""
        return ranks in self._groups

    def make(self, ranks: tuple[int, ...]) -> None:
        """Make the communicator of a group; waits inside MPI until all of ``ranks`` do it."""
        group = self._comm.Get_group().Incl(ranks)
        self._groups[ranks] = self._comm.Create_group(group)

    def of(self, ranks: tuple[int, ...]) -> MPI.Intracomm:
        """The communicator of a group that exists."""
        return self._groups[ranks]

    def free(self) -> None:
        """Give all communicators back to MPI."""
        for comm in self._groups.values():
            comm.Free()


def requests(array: Array, start: Start) -> Iterator[MPI.Request]:
    """Start the operation on one piece of a flat array after the other."""
    step = max(1, _PIECE // array.itemsize)
    for begin in range(0, array.size, step):
        yield start(array[begin : begin + step])
