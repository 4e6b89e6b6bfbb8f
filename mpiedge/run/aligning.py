"""The clocks of ranks, brought to that of rank 0.

A rank asks rank 0 for its time and takes it for that of half the way there and back, as NTP does;
of several tries the quickest is kept, and half of it is how far off it can be at most.  Clocks
drift apart by some microseconds a second, so a run asks at its beginning and at its end.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.transport import Transport

_TRIES = 16
_ASKED = Tag(Kind.VALUE)

Clock = Callable[[], float]


class Reading(NamedTuple):
    """How two clocks differed at one time."""

    at: float  # seconds by this rank's clock
    ahead: float  # rank 0's clock is so many seconds ahead
    within: float  # seconds that this can be off


def reading(transport: Transport, clock: Clock = time.perf_counter) -> Reading:
    """This rank's clock against rank 0's; called by all."""
    if transport.rank == 0:
        for other in range(1, transport.size):
            for _ in range(_TRIES):
                transport.recv(other, _ASKED)
                now = torch.tensor([clock()], dtype=torch.float64)
                transport.send([now], other, _ASKED)
        return Reading(clock(), 0.0, 0.0)
    return min((_asked(transport, clock) for _ in range(_TRIES)), key=lambda one: one.within)


def moved(time: float, first: Reading, last: Reading) -> float:
    """A time by this rank's clock as one by rank 0's, between two readings or near them."""
    passed = last.at - first.at
    part = (time - first.at) / passed if passed > 0 else 0.0
    return time + first.ahead + part * (last.ahead - first.ahead)


def _asked(transport: Transport, clock: Clock) -> Reading:
    start = clock()
    transport.send([torch.empty(0)], 0, _ASKED)
    (theirs,) = transport.recv(0, _ASKED)
    end = clock()
    return Reading(end, float(theirs[0]) - (start + end) / 2, (end - start) / 2)
