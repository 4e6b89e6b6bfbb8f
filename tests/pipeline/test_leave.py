"""A rank that only goes forward is never far ahead of the one that takes what it sends."""

import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.leave import AHEAD, Leave
from mpiedge.pipeline.portion import MicroBatch, Portion
from mpiedge.plan.forward_pass import forward_pass
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.run.bystanders import NoTuning
from tests.models import save_tiny
from tests.pipeline.stages import CrossEntropy, Heard, cut, rows, shard_of

MANY = 12


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("leave") / "bert")


def test_no_more_than_a_few_messages_wait_to_be_taken() -> None:
    sent, taken = list[int](), list[int]()

    def body(transport: Transport) -> None:
        leave = Leave(transport)
        tags = [Tag(Kind.ACTIVATION, number, 1) for number in range(MANY)]
        for number, tag in enumerate(tags):
            if transport.rank == 0:
                leave.ask(1, tag)
                transport.send([torch.ones(1)], 1, tag)
                sent.append(number)
                assert len(sent) - len(taken) <= AHEAD
            else:
                time.sleep(0.01)
                transport.recv(0, tag)
                taken.append(number)
                leave.give(0, tag)
        leave.settle()
        if transport.rank == 0:
            assert len(taken) == MANY
        transport.flush()
        transport.close()

    run_ranks(2, body)
    assert len(sent) == len(taken) == MANY


class _Slow(CrossEntropy):
    """Takes its time, and notes how far the first stage has come by then."""

    def __init__(self, entered: list[int]) -> None:
        self.entered, self.seen = entered, list[int]()

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        time.sleep(0.05)
        self.seen.append(len(self.entered))
        return super().observe(logits, labels)


def _passed(bert: Path, plan: PartitionPlan, batches: int = 1) -> tuple[list[Heard], list[int]]:
    """Micro-batches taken forward by all ranks: what was observed, and how far the entrance was."""
    entered = list[int]()
    slow = _Slow(entered)

    def source(number: int) -> MicroBatch:
        entered.append(number)
        return rows(number)

    def body(transport: Transport) -> Heard:
        shard, heard = shard_of(bert, plan, transport.rank), Heard()
        engine = Engine(transport, shard, slow, NoTuning())
        actions = forward_pass(plan, transport.rank, batches)
        engine.run(Portion(plan, actions, 0, source), heard)
        transport.close()
        return heard

    return run_ranks(len(plan.ranks), body), slow.seen


def test_the_first_stage_waits_for_a_slow_last_one(bert: Path) -> None:
    plan = cut(range(2), range(2, 4), micro_batches=MANY).frozen()
    ranks, seen = _passed(bert, plan)
    assert ranks[1].values.keys() == set(range(MANY))
    # At most a few lie there, one is taken, and one is being computed.
    assert all(entered - number <= AHEAD + 2 for number, entered in enumerate(seen))


def test_stages_of_several_ranks_end_too(bert: Path) -> None:
    first, last = range(2), range(2, 4)
    routes = (
        (Stage(0, first), Stage(1, last)),
        (Stage(1, first), Stage(2, last)),
        (Stage(2, first), Stage(0, last)),
    )
    plan = PartitionPlan(routes, (0, 1, 0, 1, 2, 1))
    alone, _ = _passed(bert, cut(range(4), micro_batches=6).frozen(), batches=5)
    ranks, _ = _passed(bert, plan, batches=5)
    values = {number: value for heard in ranks for number, value in heard.values.items()}
    assert values.keys() == set(range(30))
    assert all(torch.equal(values[number], alone[0].values[number]) for number in values)
