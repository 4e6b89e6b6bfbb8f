"""Waits are told, and nothing else is changed."""

import numpy as np
import torch

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.comm.transport import Kind, Tag
from mpiedge.comm.waiting import Waiting

TAG = Tag(Kind.ACTIVATION, 3)


def test_every_kind_of_wait_is_told() -> None:
    told: dict[int, list[tuple[str, float, float]]] = {0: [], 1: []}

    def body(bare: ThreadTransport) -> None:
        rank = bare.rank
        transport = Waiting(bare, lambda *wait: told[rank].append(wait))
        assert (transport.rank, transport.size) == (bare.rank, 2)
        assert transport.ledger is bare.ledger
        transport.send([torch.ones(2)], 1 - rank, TAG)
        transport.flush()
        assert torch.equal(transport.recv(1 - rank, TAG)[0], torch.ones(2))
        assert transport.poll(1 - rank, TAG) is None
        summed = torch.full((3,), float(rank))
        transport.all_reduce(summed, [0, 1])
        transport.broadcast(summed, 0, [0, 1])
        assert torch.equal(summed, torch.ones(3))
        circle = transport.circle(0, [0, 1])
        parts = [np.full(2, place, dtype=np.uint8) for place in (0, 1)]
        mine = circle.scatter(parts if rank == 0 else (), 2)
        assert mine.tolist() == [rank, rank]
        found = circle.gather(mine, [2, 2] if rank == 0 else ()).finish()
        assert [part.tolist() for part in found] == ([[0, 0], [1, 1]] if rank == 0 else [])
        transport.close()

    run_ranks(2, body, timeout=10)
    for rank, waits in told.items():
        assert [words for words, _, _ in waits] == [
            "messages to leave",
            f"activation from rank {1 - rank}",
            "a sum over ranks [0, 1]",
            "a broadcast from rank 0",
            "a scatter",
            "a gather",
        ]
        assert all(start <= end for _, start, end in waits)
        assert [start for _, start, _ in waits] == sorted(start for _, start, _ in waits)
