"""How fast messages go between two ranks.

One pair after the other, so that no pair slows another down; measured through the transport that
training uses, so that its threads and its copies count.
"""

import itertools
import statistics
import time

import torch
from torch import Tensor

from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.transport import Transport
from mpiedge.doctor.report import Link

SHORT, LONG = 8, 2**20  # bytes of a message
ROUNDS = {SHORT: 20, LONG: 4}


def measure(transport: Transport) -> list[Link]:
    """The links that this rank timed: those to the ranks after it.  Every rank calls it."""
    pairs = itertools.combinations(range(transport.size), 2)
    links = [_link(transport, pair) for pair in pairs if transport.rank in pair]
    return [link for link in links if link.first == transport.rank]


def _link(transport: Transport, pair: tuple[int, int]) -> Link:
    other = pair[1] if transport.rank == pair[0] else pair[0]
    begins = transport.rank == pair[0]
    _exchange(transport, other, torch.zeros(LONG, dtype=torch.uint8), begins)
    short, long = (_time(transport, other, size, begins) for size in (SHORT, LONG))
    return Link(*pair, latency=short, bandwidth=LONG / long)


def _time(transport: Transport, other: int, size: int, begins: bool) -> float:
    """Half of a round trip, the median of some."""
    message = torch.zeros(size, dtype=torch.uint8)
    times = [_exchange(transport, other, message, begins) for _ in range(ROUNDS[size])]
    return statistics.median(times) / 2


def _exchange(transport: Transport, other: int, message: Tensor, begins: bool) -> float:
    tag = Tag(Kind.VALUE, message.numel())
    start = time.perf_counter()
    if begins:
        transport.send([message], other, tag)
    transport.recv(other, tag)
    if not begins:
        transport.send([message], other, tag)
    transport.flush()
    return time.perf_counter() - start
