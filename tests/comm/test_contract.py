"""The contract of a transport, over threads and over MPI."""

from pathlib import Path

import pytest

from mpiedge.comm.threads import run_ranks
from tests.comm.contract import CHECKS, TIMEOUT, Check
from tests.mpirun import TCP, mpirun

RANKS = 3


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_threads_keep_the_contract(check: Check) -> None:
    def body(transport) -> bool:
        check(transport)
        return True

    assert run_ranks(RANKS, body, TIMEOUT) == [True] * RANKS


@pytest.fixture(scope="module", params=["together", "apart"])
def over_mpi(request: pytest.FixtureRequest) -> str:
    """What one run of all checks on real ranks printed; it stops at the first that fails."""
    flags = TCP if request.param == "apart" else ()
    program = Path(__file__).with_name("contract_program.py")
    done = mpirun(RANKS, program, request.param, limit=90, flags=flags)
    return f"{done.stdout}\n{done.stderr}\nexit code {done.returncode}"


@pytest.mark.mpi_skip
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_mpi_keeps_the_contract(check: Check, over_mpi: str) -> None:
    for rank in range(RANKS):
        assert f"{check.__name__} held on rank {rank}\n" in over_mpi


@pytest.mark.mpi_skip
def test_mpi_ends_without_a_trace(over_mpi: str) -> None:
    assert over_mpi.endswith("\n\n\nexit code 0")
