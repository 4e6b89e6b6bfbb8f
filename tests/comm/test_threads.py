import time

import pytest
import torch

from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.comm.transport import Kind, Tag
from mpiedge.errors import RankLost

TAG = Tag(Kind.LOSS, 1)


def test_results_come_by_rank() -> None:
    assert run_ranks(4, lambda transport: (transport.rank, transport.size)) == [
        (0, 4),
        (1, 4),
        (2, 4),
        (3, 4),
    ]


def test_the_first_real_failure_is_raised_and_ends_the_others_at_once() -> None:
    def body(transport: ThreadTransport) -> None:
        if transport.rank == 2:
            time.sleep(0.05)
            raise KeyError("pears")
        transport.recv(2, TAG)

    start = time.monotonic()
    with pytest.raises(KeyError, match="pears"):
        run_ranks(3, body, timeout=20)
    assert time.monotonic() - start < 2


def test_waiting_for_a_rank_that_has_ended_is_in_vain() -> None:
    def body(transport: ThreadTransport) -> None:
        if transport.rank == 0:
            transport.recv(1, TAG)

    with pytest.raises(RankLost, match="rank 0 of 2 waited .* for rank 1 .*: loss of micro-batch"):
        run_ranks(2, body, timeout=0.2)


def test_a_message_may_change_once_it_is_sent() -> None:
    def body(transport: ThreadTransport) -> float:
        tensor = torch.ones(10_000)
        transport.send([tensor], 1 - transport.rank, TAG)
        tensor.zero_()
        return transport.recv(1 - transport.rank, TAG)[0].sum().item()

    assert run_ranks(2, body) == [10_000, 10_000]


def test_ranks_close_together() -> None:
    def body(transport: ThreadTransport) -> float:
        time.sleep(0.4 * transport.rank)
        transport.close()
        return time.monotonic()

    ends = run_ranks(3, body)
    assert max(ends) - min(ends) < 0.5


def test_a_run_alone_needs_nobody() -> None:
    transport = alone()
    tensor = torch.ones(3)
    transport.all_reduce(tensor, [0])
    transport.broadcast(tensor, 0, [0])
    transport.send([tensor], 0, TAG)
    assert transport.recv(0, TAG)[0].tolist() == [1, 1, 1]
    transport.flush()
    transport.close()
    assert transport.ledger.sent() == transport.ledger.received() == {}
