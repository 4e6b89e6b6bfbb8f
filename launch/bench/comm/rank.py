"""One of two ranks: the same messages by mpiedge's transport, by plain MPI buffers, and by gloo.

Started by compare.py under mpirun.  The sides take turns in every round, so that whatever else the
machine does falls on all of them.  Rank 0 prints a line of JSON.
"""

import json
import sys
import time

import mpi4py
import numpy as np
import torch
import torch.distributed as gloo

from mpiedge.comm.connect import connect
from mpiedge.comm.tag import Kind, Tag

mpi4py.rc.initialize = mpi4py.rc.finalize = False  # the transport does both
from mpi4py import MPI  # noqa: E402

KIB = 1024
WORK = 256  # rows and columns of the matrices that are multiplied meanwhile


def by_mpiedge(transport):
    """There and back again by the transport, and a sum."""
    other = 1 - transport.rank
    numbers = iter(range(10**9))

    def exchange(tensor):
        tag = Tag(Kind.ACTIVATION, next(numbers))
        if transport.rank == 0:
            transport.send([tensor], other, tag)
            transport.recv(other, tag)
        else:
            (found,) = transport.recv(other, tag)
            transport.send([found], other, tag)
        transport.flush()

    return exchange, lambda tensor: transport.all_reduce(tensor, [0, 1])


def by_mpi(comm):
    """The same with buffers that were made before, as the fastest that mpi4py can."""
    other, got = 1 - comm.rank, {}

    def exchange(tensor):
        array = tensor.numpy()
        into = got.setdefault(array.nbytes, np.empty_like(array))
        if comm.rank == 0:
            comm.Send(array, other)
            comm.Recv(into, other)
        else:
            comm.Recv(into, other)
            comm.Send(into, other)

    return exchange, lambda tensor: comm.Allreduce(MPI.IN_PLACE, tensor.numpy())


def by_gloo(rank):
    """The same by torch.distributed over gloo."""
    other, got = 1 - rank, {}

    def exchange(tensor):
        into = got.setdefault(tensor.numel(), torch.empty_like(tensor))
        if rank == 0:
            gloo.send(tensor, other)
            gloo.recv(into, other)
        else:
            gloo.recv(into, other)
            gloo.send(into, other)

    return exchange, gloo.all_reduce


def timed(step, comm, times):
    """Seconds of one step, both ranks having begun together."""
    comm.Barrier()
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def moving(transport, megabytes):
    """Seconds of computing alone, of a message alone, and of the message while rank 1 computes.

    Rank 1 takes the message when it has computed: what is hidden has arrived by then.
    """
    tensor = torch.ones(megabytes * KIB * KIB // 4)
    matrix = torch.rand(WORK, WORK)

    def compute(count):
        for _ in range(count):
            matrix.mm(matrix)

    start = time.perf_counter()
    compute(200)
    per = (time.perf_counter() - start) / 200
    found = []
    for number in range(3):
        tag = Tag(Kind.WEIGHTS, number)
        start = time.perf_counter()
        if transport.rank == 0:
            transport.send([tensor], 1, tag)
            transport.flush()
            transport.recv(1, tag)
        else:
            transport.recv(0, tag)
            transport.send([torch.zeros(1)], 0, tag)
        found.append(time.perf_counter() - start)
    alone = sorted(found)[1]
    count = max(1, round(2 * alone / per))
    late = []
    for number in range(3, 6):
        tag = Tag(Kind.WEIGHTS, number)
        MPI.COMM_WORLD.Barrier()
        if transport.rank == 0:
            transport.send([tensor], 1, tag)
            transport.flush()
            transport.recv(1, tag)
            continue
        compute(count)
        start = time.perf_counter()
        transport.recv(0, tag)
        late.append(time.perf_counter() - start)
        transport.send([torch.zeros(1)], 0, tag)
    waited = sorted(late)[1] if late else 0.0
    return {"mib": megabytes, "alone": alone, "computing": count * per, "waited_after": waited}


def main():
    """Run all sizes on all sides, and print them."""
    sizes, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    transport, comm = connect(120.0), MPI.COMM_WORLD.Dup()
    gloo.init_process_group("gloo", init_method=sys.argv[3], rank=comm.rank, world_size=2)
    sides = {"mpiedge": by_mpiedge(transport), "mpi4py": by_mpi(comm), "gloo": by_gloo(comm.rank)}
    rows = []
    for size in sizes:
        tensor, times = torch.ones(size * KIB // 4), max(2, min(200, 8 * KIB // size))
        for _ in range(rounds):
            for name, (exchange, _) in sides.items():
                seconds = timed(lambda e=exchange, t=tensor: e(t), comm, times) / 2
                rows.append({"what": "message", "side": name, "kib": size, "seconds": seconds})
            for name, (_, reduce) in sides.items():
                given = tensor / 2  # sums of two stay what they are
                seconds = timed(lambda r=reduce, t=given: (t.fill_(0.5), r(t)), comm, times)
                assert float(given[0]) == 1.0
                rows.append({"what": "sum", "side": name, "kib": size, "seconds": seconds})
    hidden = comm.gather(moving(transport, 16))
    gloo.destroy_process_group()
    if comm.rank == 0:
        print(json.dumps({"rows": rows, "moving": hidden[1]}))
    transport.close()


if __name__ == "__main__":
    main()
