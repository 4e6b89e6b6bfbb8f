"""The loss of each batch, put together on rank 0 from the ranks where its micro-batches end."""

import torch

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.run.losses import Losses

# Micro-batches 0 and 2 end on rank 1, micro-batch 1 on rank 2.
PLAN = PartitionPlan(
    (
        (Stage(0, range(1)), Stage(1, range(1, 3), frozenset({2}))),
        (Stage(0, range(1)), Stage(2, range(1, 3), frozenset({2}))),
    ),
    (0, 1, 0),
)
Heard = list[tuple[int, float]]


def value(number: int) -> torch.Tensor:
    return torch.tensor(float(2**number))


def feed(losses: Losses, rank: int, batches: range) -> None:
    """Hand over what ends on this rank."""
    for number in range(3 * batches.start, 3 * batches.stop):
        if PLAN.route(number)[-1].rank == rank:
            losses.result(number, value(number))


def test_a_batchs_loss_is_the_sum_of_its_parts_in_order() -> None:
    def body(transport: Transport) -> Heard:
        heard: Heard = []
        losses = Losses(transport, PLAN, 0, lambda batch, loss: heard.append((batch, loss)))
        feed(losses, transport.rank, range(3))
        losses.drain(3)
        return heard

    assert run_ranks(3, body) == [[(0, 7.0), (1, 56.0), (2, 448.0)], [], []]


def test_only_one_message_a_batch_and_rank() -> None:
    def body(transport: Transport) -> int:
        losses = Losses(transport, PLAN, 4, lambda *_: None)
        feed(losses, transport.rank, range(4, 6))
        losses.drain(6)
        return sum(
            n.messages for (kind, _), n in transport.ledger.sent().items() if kind is Kind.LOSS
        )

    assert run_ranks(3, body) == [0, 2, 2]


def test_a_batch_waits_for_its_last_part_without_holding_anybody_up() -> None:
    go = Tag(Kind.VALUE)

    def body(transport: Transport) -> tuple[Heard, Heard]:
        heard: Heard = []
        losses = Losses(transport, PLAN, 0, lambda batch, loss: heard.append((batch, loss)))
        if transport.rank == 2:
            transport.recv(0, go)
        feed(losses, transport.rank, range(2))
        losses.acted()
        early = list(heard)
        if transport.rank == 0:
            transport.send([], 2, go)
        losses.drain(2)
        return early, heard

    early, heard = run_ranks(3, body)[0]
    assert early == []
    assert heard == [(0, 7.0), (1, 56.0)]


def test_what_has_arrived_is_told_at_once() -> None:
    plan = PartitionPlan(((Stage(0, range(3), frozenset({2})),),), (0, 0))

    def body(transport: Transport) -> Heard:
        heard: Heard = []
        losses = Losses(transport, plan, 7, lambda batch, loss: heard.append((batch, loss)))
        losses.result(14, value(0))
        losses.acted()
        assert heard == []
        losses.result(15, value(1))
        losses.acted()
        return heard

    assert run_ranks(1, body) == [[(7, 3.0)]]


def test_parts_are_added_in_double_precision() -> None:
    def body(transport: Transport) -> Heard:
        heard: Heard = []
        plan = PartitionPlan(((Stage(0, range(3), frozenset({2})),),), (0, 0))
        losses = Losses(transport, plan, 0, lambda batch, loss: heard.append((batch, loss)))
        losses.result(0, torch.tensor(1.0))
        losses.result(1, torch.tensor(1e-9))
        losses.drain(1)
        return heard

    ((_, loss),) = run_ranks(1, body)[0]
    assert loss > 1.0
