"""The contract of a transport, over threads and over MPI."""

from pathlib import Path

import pytest

from mpiedge.comm.threads import run_ranks
from tests.comm.contract import BETWEEN_HOSTS, CHECKS, TIMEOUT, Check
from tests.mpirun import TCP, mpirun

RANKS = 3


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_threads_keep_the_contract(check: Check) -> None:
    def body(transport) -> bool:
        check(transport)
        return True

    assert run_ranks(RANKS, body, TIMEOUT) == [True] * RANKS


def printed(*words: str, flags: tuple[str, ...] = ()) -> str:
    """What one run of the checks on real ranks printed; it stops at the first that fails."""
    program = Path(__file__).with_name("contract_program.py")
    done = mpirun(RANKS, program, *words, limit=90, flags=flags)
    return f"{done.stdout}\n{done.stderr}\nexit code {done.returncode}"


@pytest.fixture(scope="module")
def over_mpi() -> str:
    return printed()


@pytest.fixture(scope="module")
def between_hosts() -> str:
    return printed("apart", flags=TCP)


def held(check: Check, said: str) -> bool:
    """Whether a check held on every rank."""
    return all(f"{check.__name__} held on rank {rank}\n" in said for rank in range(RANKS))


@pytest.mark.mpi_skip
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_mpi_keeps_the_contract(check: Check, over_mpi: str) -> None:
    assert held(check, over_mpi), over_mpi


@pytest.mark.mpi_skip
@pytest.mark.parametrize("check", BETWEEN_HOSTS, ids=lambda check: check.__name__)
def test_mpi_keeps_the_contract_between_hosts(check: Check, between_hosts: str) -> None:
    assert held(check, between_hosts), between_hosts


@pytest.mark.mpi_skip
def test_mpi_ends_without_a_trace(over_mpi: str, between_hosts: str) -> None:
    assert over_mpi.endswith("\n\n\nexit code 0")
    assert between_hosts.endswith("\n\n\nexit code 0")
