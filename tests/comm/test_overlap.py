"""Messages move while their sender computes: over TCP, where MPI alone would not move them."""

from pathlib import Path

import pytest

from tests.comm.overlap_program import BUSY
from tests.mpirun import TCP, mpirun


@pytest.mark.mpi_skip
def test_a_message_arrives_while_its_sender_sleeps_or_computes() -> None:
    done = mpirun(2, Path(__file__).with_name("overlap_program.py"), limit=60, flags=TCP)
    assert done.returncode == 0, done.stderr
    asleep, computing = map(float, done.stdout.split())
    assert asleep < 0.6 * BUSY
    assert computing < 0.8 * BUSY
