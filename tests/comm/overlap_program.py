"""Prints how long a 16 MB message took to arrive while its sender did not call MPI."""

import time

import torch

from mpiedge.comm.connect import connect
from mpiedge.comm.failure import ends_job
from mpiedge.comm.transport import Kind, Tag

BUSY = 2.0  # seconds for which the sender does something else


def compute(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def main() -> None:
    transport = connect(20.0)
    with ends_job(transport):
        for number, busy in enumerate((time.sleep, compute)):
            transport.all_reduce(torch.zeros(1), range(2))
            start = time.monotonic()
            if transport.rank == 0:
                transport.send([torch.ones(4_000_000)], 1, Tag(Kind.ACTIVATION, number))
                busy(BUSY)
                transport.flush()
            else:
                transport.recv(0, Tag(Kind.ACTIVATION, number))
                print(time.monotonic() - start, flush=True)
        transport.close()


if __name__ == "__main__":
    main()
