"""Weights that follow the turn: what arrives with what the optimizer keeps, and nothing else."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.comm.transport import Kind
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.optimize import Update
from mpiedge.pipeline.portion import Portion
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.pipeline.turns import Settled, Turns
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import simulate
from tests.models import save_tiny
from tests.pipeline.stages import CrossEntropy, Heard, rows, shard_of

RING = frozenset({2, 3})
SETTINGS = TrainingSettings(learning_rate=0.05, clip_norm=0.01, warmup=0.0)
BATCHES = 6


def turning(ranks: int) -> PartitionPlan:
    """Two blocks on ranks 0 and 1; the head with rank 0, 1, 1 in turn; of one rank all the same."""
    turns = [(0, 1, 1)[k % 3] % ranks for k in range(BATCHES)]
    used = sorted(set(turns))
    routes = tuple(
        (
            Stage(initiator, range(1)),
            Stage(0, range(1, 2)),
            Stage(1 % ranks, range(2, 3), frozenset({2})),
            Stage(initiator, range(3, 4), frozenset({3})),
        )
        for initiator in used
    )
    taken = tuple(used.index(initiator) for initiator in turns for _ in range(2))
    return PartitionPlan(routes, taken, joint_update=True, cycle=BATCHES, still=2)


Left = tuple[dict[str, Tensor], dict[str, tuple[Tensor, ...]], Counter[Kind], list[float]]


def trained(folder: Path, ranks: int, cut: int = BATCHES) -> list[Left]:
    """What each rank is left with; the batches in two portions, parted at ``cut``."""
    plan = turning(ranks)

    def body(transport: ThreadTransport) -> Left:
        shard = shard_of(folder, plan, transport.rank, "bottleneck")
        update = Update(transport, shard, SETTINGS, 10)
        turns, heard = Turns(transport, shard, update), Heard()
        engine = Engine(transport, shard, CrossEntropy(), turns)
        for portion in (range(cut), range(cut, BATCHES)):
            if portion.start and portion:
                turns.cross(plan, portion.start)
            if portion:
                part = plan.excerpt(portion)
                actions = simulate(part, batches=len(portion)).schedule.get(transport.rank, ())
                engine.run(Portion(part, actions, 2 * portion.start, rows), heard)
        sent = Counter({kind: 0 for kind in Kind})
        for (kind, _), count in transport.ledger.sent().items():
            sent[kind] += count.messages
        tuned = {name: p.detach().clone() for name, p in shard.tuned_parameters().items()}
        transport.close()
        return tuned, update.moments, sent, [float(v) for v in heard.values.values()]

    return run_ranks(ranks, body)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("turns") / "bert"
    return save_tiny("bert", folder, hidden_dropout_prob=0.2)


@pytest.mark.parametrize("cut", range(1, BATCHES + 1))
def test_it_is_as_if_one_rank_had_all_turns(bert: Path, cut: int) -> None:
    ((alone, moments, _, losses),) = trained(bert, 1)
    first, second = trained(bert, 2, cut)
    # The last turn was rank 1's, which also has the block that is trained.
    assert second[0].keys() == alone.keys()
    for name, weight in alone.items():
        torch.testing.assert_close(second[0][name], weight, rtol=1e-6, atol=1e-8)
        for ours, theirs in zip(second[1][name], moments[name], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-9)
    assert sorted(first[3] + second[3]) == pytest.approx(sorted(losses), rel=1e-6)


def test_one_message_follows_each_change_of_turn(bert: Path) -> None:
    first, second = trained(bert, 2)
    # 0 1 1 0 1 1: twice from rank 0 to rank 1, once back.
    assert (first[2][Kind.WEIGHTS], second[2][Kind.WEIGHTS]) == (2, 1)
    assert first[2][Kind.LABELS] == second[2][Kind.LABELS] == 0


def test_nothing_runs_backward_below_the_lowest_trained_layer(bert: Path) -> None:
    first, second = trained(bert, 2)
    # Of rank 0's turns, the gradient of what the head was given; nothing leaves layer 2 downwards.
    assert (first[2][Kind.GRADIENT], second[2][Kind.GRADIENT]) == (2 * 2, 0)


def test_what_is_settled_is_never_updated() -> None:
    plan = turning(1)
    Settled().arrive(plan, 0, 0, plan.routes[0][0])
    with pytest.raises(AssertionError, match="nothing is trained"):
        Settled().update(plan, 0, 0)
