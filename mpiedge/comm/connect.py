"""Joining the ranks of this run: over MPI under ``mpirun`` or ``srun``, alone otherwise.

mpi4py is imported only when there are other ranks: a run alone needs no MPI.  MPI is finalised
here and not by mpi4py, because that step hangs for ever when another rank is gone.
"""

import atexit
import os
from typing import Protocol

from mpiedge.comm.last_resort import within
from mpiedge.comm.threads import alone
from mpiedge.comm.transport import Transport
from mpiedge.errors import BadInput

_START = 300.0
"""Seconds from the first rank's start to the last one's: what a board takes to import torch from a
slow card, where a fast machine takes seconds.  A rank that ended meanwhile is noticed at once."""
_END = 60.0  # seconds in which all ranks have to leave together

# What the launchers we know tell a rank: how many there are, and which one it is.  Slurm's comes
# last: where mpirun runs under it, its own processes are a step of Slurm's, too.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
_PMIX = "PMIX_RANK"
_RANKS = ("OMPI_COMM_WORLD_RANK", _PMIX, "PMI_RANK")


class Connection(Transport, Protocol):
    """A transport that can also end the whole job."""

    def abort(self, code: int) -> None:
        """End all ranks, whatever they are doing."""


def announced_size() -> int:
    """How many ranks there are, or at least, as who started them says; 1 where nobody did."""
    return max(1 + announced_rank(), _said_size() or 1)


def _said_size() -> int | None:
    return next((int(os.environ[name]) for name in _SIZES if name in os.environ), None)


def announced_rank() -> int:
    """Which of them this one is."""
    return max([0, *(int(os.environ[name]) for name in _RANKS if name in os.environ)])


def connect(timeout: float, start: float = _START) -> Connection:
    """The transport of this process: to the other ranks of its launcher, or alone.

    All ranks must have started within ``start`` seconds; until then none can give signs of life.
    """
    announced = announced_size()
    # A launcher that speaks PMIx and no more leaves it to MPI to know how many there are.
    if announced == 1 and (_PMIX not in os.environ or _said_size()):
        return alone(timeout)
    return _over_mpi(announced, timeout, start)


def _over_mpi(announced: int, timeout: float, start: float) -> Connection:
    import mpi4py  # noqa: PLC0415 - a run alone needs no MPI

    mpi4py.rc.initialize = mpi4py.rc.finalize = False
    try:
        from mpi4py import MPI  # noqa: PLC0415
    except (ImportError, RuntimeError) as failure:
        raise BadInput(
            f"mpi4py cannot load an MPI library ({failure}); install one next to it: "
            "pip install 'mpiedge[mpi]'"
        ) from failure
    from mpiedge.comm.mpi import MpiTransport  # noqa: PLC0415

    if not MPI.Is_initialized():  # a program may have more than one job, one after the other
        within(start, MPI.Init_thread)  # waits until all ranks have started
        atexit.register(within, _END, MPI.Finalize)
    check_size(announced, MPI.COMM_WORLD.Get_size(), MPI.Get_library_version().split(",")[0])
    return MpiTransport(MPI.COMM_WORLD, timeout)


def check_size(announced: int, seen: int, library: str) -> None:
    """Refuse to run as many runs of one rank each."""
    if seen == 1 and announced > 1:
        raise BadInput(
            f"{announced} or more ranks were started but mpi4py, which uses {library}, sees 1: "
            "they belong to different MPI installations; start with the mpirun next to python, "
            "with mpiedge launch, or under Slurm with srun --mpi=pmix"
        )
