"""Checks that also run as ``mpirun -n 3 python -m pytest --with-mpi tests/comm``."""

import pytest
import torch

from mpiedge.comm.transport import Kind, Tag

pytestmark = pytest.mark.mpi(min_size=2)


def test_the_world_sums_and_passes_messages_around() -> None:
    from mpi4py import MPI

    from mpiedge.comm.mpi import MpiTransport

    transport = MpiTransport(MPI.COMM_WORLD, 20.0)
    size, rank = transport.size, transport.rank
    transport.send([torch.tensor([rank])], (rank + 1) % size, Tag(Kind.LOSS))
    assert transport.recv((rank - 1) % size, Tag(Kind.LOSS))[0].item() == (rank - 1) % size
    tensor = torch.ones(5, dtype=torch.bfloat16)
    transport.all_reduce(tensor, range(size))
    assert tensor.tolist() == [size] * 5
    transport.close()


def test_one_transport_may_follow_another() -> None:
    from mpi4py import MPI

    from mpiedge.comm.mpi import MpiTransport

    for number in range(3):
        transport = MpiTransport(MPI.COMM_WORLD, 20.0)
        tensor = torch.tensor([number])
        transport.broadcast(tensor, 1, range(transport.size))
        assert tensor.item() == number
        transport.close()
