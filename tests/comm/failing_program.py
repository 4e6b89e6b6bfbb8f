"""Ranks of which the second fails, in the way named on the command line."""

import os
import signal
import sys
import time

import torch

from mpiedge.comm.connect import Connection, connect
from mpiedge.comm.failure import ends_job
from mpiedge.comm.transport import Kind, Tag
from mpiedge.comm.values import collectively
from mpiedge.errors import BadInput

TIMEOUT = 2.0
TAG = Tag(Kind.ACTIVATION, 3, 1)


def raises(transport: Connection) -> None:
    raise ZeroDivisionError(f"of rank {transport.rank}")


def exits(transport: Connection) -> None:
    sys.exit(3)


def is_killed(transport: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def is_terminated(transport: Connection) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)


def is_interrupted(transport: Connection) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def is_frozen(transport: Connection) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def waits_in_a_circle(transport: Connection) -> None:
    transport.recv(0, TAG)


def has_bad_input(transport: Connection) -> None:
    raise BadInput("layers: 99; give at most 6")


def has_bad_input_found_together(transport: Connection) -> None:
    collectively(transport, lambda: has_bad_input(transport))


WAYS = {
    way.__name__: way
    for way in (
        raises,
        exits,
        is_killed,
        is_terminated,
        is_interrupted,
        is_frozen,
        waits_in_a_circle,
        has_bad_input,
        has_bad_input_found_together,
    )
}


def others(transport: Connection, way: str) -> None:
    """What the ranks that do not fail do: wait for the one that does."""
    if way == "has_bad_input_found_together":
        collectively(transport, lambda: None)
    elif way == "is_frozen" and transport.rank == 2:
        transport.all_reduce(torch.ones(1), range(transport.size))
    else:
        transport.recv(1, TAG)


def main() -> int:
    way = sys.argv[1]
    if way == "never_starts" and os.environ["OMPI_COMM_WORLD_RANK"] == "1":
        os.write(1, f"{time.time()}\n".encode())
        time.sleep(60)
    transport = connect(TIMEOUT, start=10.0 if way == "never_starts" else 60.0)
    try:
        with ends_job(transport):
            transport.all_reduce(torch.ones(1), range(transport.size))
            if transport.rank == 1:
                os.write(1, f"{time.time()}\n".encode())
                WAYS[way](transport)
            else:
                others(transport, way)
    except BadInput as bad:
        if transport.rank == 0:
            print(bad, file=sys.stderr)
        transport.close()
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
