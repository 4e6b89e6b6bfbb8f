"""Gradients that are summed while backward goes on are those that are summed afterwards."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mpiedge.comm.threads import ThreadTransport, World, run_ranks
from mpiedge.comm.transport import Kind, Transport
from mpiedge.errors import RankLost
from mpiedge.pipeline.overlap import Part, Parts, divided, summing
from mpiedge.pipeline.sync import sum_gradients
from mpiedge.plan.partition import PartitionPlan, Stage
from tests.models import save_tiny
from tests.pipeline.stages import cut, shard_of

EVERY = frozenset(range(4))
REPLICAS = PartitionPlan(((Stage(0, range(4), EVERY),), (Stage(1, range(4), EVERY),)), (0, 1))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("overlap") / "bert")


def backward(parameters: list[nn.Parameter], rank: int, batch: int) -> None:
    """A pass that leaves each of them another gradient, and one of them none on rank 1."""
    reached = parameters if rank == 0 else parameters[1:]
    weights = [float(i + 1 + 10 * rank + 100 * batch) for i in range(len(reached))]
    sum(
        (w * (each * each.detach()).sum() for w, each in zip(weights, reached, strict=True)),
        torch.zeros(()),
    ).backward()


@pytest.mark.parametrize("size", [1, 500, 10**9])
def test_the_sum_is_that_of_a_single_message(bert: Path, size: int) -> None:
    def body(transport: Transport) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
        shard = shard_of(bert, REPLICAS, transport.rank)
        tuned = shard.tuned_parameters()
        order = [tuned[name] for name in sorted(tuned)]
        found = []
        for early in (True, False):
            for each in order:
                each.grad = None
            # What earlier micro-batches of the batch left is in it.
            backward(order, transport.rank, 0)
            if early:
                with summing(transport, shard, REPLICAS, size) as done:
                    backward(order, transport.rank, 1)
                assert done
            else:
                backward(order, transport.rank, 1)
                sum_gradients(transport, shard, REPLICAS)
            grads = {name: each.grad for name, each in tuned.items()}
            found.append({name: grad.clone() for name, grad in grads.items() if grad is not None})
        return found[0], found[1], len(divided(shard, size))

    for early, after, parts in run_ranks(2, body):
        assert early.keys() == after.keys()
        assert all(torch.equal(early[name], after[name]) for name in early)
        assert (parts == 1) == (size == 10**9)


def test_parts_go_from_the_head_down(bert: Path) -> None:
    shard = shard_of(bert, REPLICAS, 0)
    names = {id(each): name for name, each in shard.tuned_parameters().items()}
    parts = divided(shard, 200)
    every = [names[id(each)] for part in parts for each in part]
    assert sorted(every) == sorted(names.values())
    layers = [max(shard.blueprint.layers_of(name)) for name in every]
    assert layers == sorted(layers, reverse=True)
    assert layers[0] == shard.blueprint.num_layers - 1
    assert all(sum(each.nbytes for each in part) >= 200 for part in parts[:-1])


def test_a_part_starts_when_it_is_whole_and_those_before_have_started() -> None:
    a, b, c, d = (nn.Parameter(torch.zeros(1)) for _ in range(4))
    started: list[Part] = []
    parts = Parts([[a, b], [c], [d]], started.append)
    parts.reached(c)
    parts.reached(a)
    assert started == []
    parts.reached(b)
    assert [len(part) for part in started] == [2, 1]
    assert started[1][0] is c
    parts.finish()
    assert started[2][0] is d
    assert len(started) == 3


@pytest.mark.parametrize(
    "plan",
    [
        cut(range(2), range(2, 4)),
        PartitionPlan(REPLICAS.routes[:1], (0, 0)),
    ],
    ids=["stages", "alone"],
)
def test_elsewhere_nothing_is_summed_early(bert: Path, plan: PartitionPlan) -> None:
    def body(transport: Transport) -> tuple[bool, int]:
        shard = shard_of(bert, plan, transport.rank)
        with summing(transport, shard, plan) as done:
            backward(list(shard.tuned_parameters().values()), 0, 0)
        sent = sum(n.messages for (kind, _), n in transport.ledger.sent().items())
        return done, sent

    assert run_ranks(len(plan.ranks), body) == [(False, 0)] * len(plan.ranks)


def test_a_lost_rank_is_said_and_hooks_are_gone(bert: Path) -> None:
    world = World(2, 20.0)
    world.fail(1, ValueError("gone"))
    transport = ThreadTransport(world, 0)
    shard = shard_of(bert, REPLICAS, 0)
    parameters = list(shard.tuned_parameters().values())
    with pytest.raises(RankLost, match="rank 1 failed: gone"), summing(transport, shard, REPLICAS):
        backward(parameters, 0, 0)
    sent = transport.ledger.sent()
    backward(parameters, 0, 0)
    assert transport.ledger.sent() == sent
    assert all(kind is Kind.COLLECTIVE for kind, _ in sent)
