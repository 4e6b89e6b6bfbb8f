"""Pieces: all of a message, in order, and no faster than its share of the link."""

import time
from typing import Any

import pytest
import torch

from mpiedge.comm.pacing import pieces, send_pieces
from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.threads import ThreadTransport, run_ranks

TAG = Tag(Kind.REPLY, 3)


@pytest.mark.parametrize(
    ("numbers", "count"), [(1, 1), (4096, 1), (4097, 2), (4096 * 64, 64), (10**7, 64)]
)
def test_a_message_goes_in_so_many_pieces(numbers: int, count: int) -> None:
    assert pieces(numbers) == count
    assert len(torch.chunk(torch.zeros(numbers), count)) == count


@pytest.mark.parametrize("rate", [0.0, 4e5])
def test_all_of_it_arrives_in_order_and_in_its_time(rate: float) -> None:
    flat = torch.arange(50_000, dtype=torch.float32)  # 200,000 bytes

    def rank(transport: ThreadTransport) -> Any:
        start = time.monotonic()
        if transport.rank == 1:
            send_pieces(transport, flat, 0, TAG, rate)
            return time.monotonic() - start
        tags = [TAG._replace(place=place) for place in range(pieces(flat.numel()))]
        return torch.cat([transport.recv(1, tag)[0] for tag in tags])

    received, seconds = run_ranks(2, rank)
    assert torch.equal(received, flat)
    # The last piece leaves when a link of that rate would be done: never sooner.
    assert seconds >= (200_000 / rate if rate else 0.0)
