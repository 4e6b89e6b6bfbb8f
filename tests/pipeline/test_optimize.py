"""The end of a batch: learning rates, clipping, and how weights move."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mpiedge.comm.threads import alone
from mpiedge.model.shard import Shard
from mpiedge.pipeline.optimize import Update
from mpiedge.pipeline.settings import TrainingSettings
from tests.models import save_tiny
from tests.pipeline.stages import cut, shard_of

PLAN = cut(range(4))
PLAIN = {"optimizer": "sgd", "schedule": "constant", "warmup": 0.0, "clip_norm": 0.0}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("optimize") / "bert")


@pytest.fixture
def shard(bert: Path) -> Shard:
    return shard_of(bert, PLAN, 0)


def update(shard: Shard, steps: int = 10, **changes: Any) -> Update:
    return Update(alone(), shard, TrainingSettings(**{**PLAIN, **changes}), steps)


def weights(shard: Shard) -> Tensor:
    """All tuned weights as one vector."""
    tuned = shard.tuned_parameters()
    return torch.cat([tuned[name].detach().flatten() for name in sorted(tuned)])


def give(shard: Shard, value: float) -> None:
    """The same gradient everywhere."""
    for parameter in shard.tuned_parameters().values():
        parameter.grad = torch.full_like(parameter, value)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("linear", [0, 0.5, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("cosine", [0, 0.5, *[(1 + math.cos(math.pi * i / 8)) / 2 for i in range(8)]]),
        ("constant", [0, 0.5, *[1] * 8]),
    ],
)
def test_the_rate_warms_up_and_falls_as_the_schedule_says(
    shard: Shard, schedule: str, rates: list[float]
) -> None:
    made = update(shard, schedule=schedule, warmup=0.2, learning_rate=4.0)
    assert [made.learning_rate(i) for i in range(10)] == pytest.approx([4 * r for r in rates])


def test_each_update_moves_by_its_own_rate(shard: Shard) -> None:
    made = update(shard, 4, schedule="linear", warmup=0.25, learning_rate=0.5)
    for step in range(4):
        before = weights(shard)
        give(shard, 0.25)
        made(PLAN, step)
        moved = before - weights(shard)
        expected = torch.full_like(moved, 0.25 * made.learning_rate(step))
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-6)
    assert made.learning_rate(1) == 0.5


def test_gradients_are_cleared(shard: Shard) -> None:
    give(shard, 1.0)
    update(shard)(PLAN, 0)
    assert all(parameter.grad is None for parameter in shard.tuned_parameters().values())


@pytest.mark.parametrize(("clip", "factor"), [(0.0, 1.0), (0.5, 0.5), (2.0, 1.0)])
def test_a_gradient_longer_than_the_limit_is_shortened_to_it(
    shard: Shard, clip: float, factor: float
) -> None:
    before = weights(shard)
    give(shard, before.numel() ** -0.5)  # of norm 1
    update(shard, learning_rate=1.0, clip_norm=clip)(PLAN, 0)
    assert float((before - weights(shard)).norm()) == pytest.approx(factor, rel=1e-4)


def test_adamw_moves_every_weight_by_the_rate_at_first(shard: Shard) -> None:
    before = weights(shard)
    give(shard, 1e-3)
    update(shard, optimizer="adamw", learning_rate=0.01)(PLAN, 0)
    torch.testing.assert_close(
        before - weights(shard), torch.full_like(before, 0.01), atol=1e-5, rtol=0
    )


def test_decay_is_decoupled_in_adamw_and_a_penalty_in_sgd(shard: Shard) -> None:
    for optimizer in ("adamw", "sgd"):
        before = weights(shard)
        give(shard, 0.0)
        update(shard, optimizer=optimizer, learning_rate=0.1, weight_decay=0.5)(PLAN, 0)
        torch.testing.assert_close(weights(shard), before * 0.95)
    before = weights(shard)
    give(shard, 1e-3)
    update(shard, optimizer="adamw", learning_rate=0.1, weight_decay=0.5)(PLAN, 0)
    torch.testing.assert_close(weights(shard), before * 0.95 - 0.1, atol=1e-4, rtol=0)


def test_a_rank_without_tuned_weights_keeps_the_clock(bert: Path) -> None:
    plan = cut(range(1), range(1, 4))
    made = update(shard_of(bert, plan, 0), 10, warmup=0.2, learning_rate=4.0)
    assert made.learning_rate(1) == 2.0


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_update_goes_on_where_another_left_off(bert: Path, optimizer: str) -> None:
    changes = {"optimizer": optimizer, "schedule": "linear", "warmup": 0.3, "learning_rate": 0.1}
    through, first = shard_of(bert, PLAN, 0), shard_of(bert, PLAN, 0)
    whole, begun = update(through, **changes), update(first, **changes)
    for step in range(4):
        for shard, made in ((through, whole), (first, begun)):
            give(shard, (-0.5) ** step)
            made(PLAN, step)
    second = shard_of(bert, PLAN, 0)
    with torch.no_grad():
        for name, parameter in second.tuned_parameters().items():
            parameter.copy_(first.tuned_parameters()[name])
    settings = TrainingSettings(**{**PLAIN, **changes})
    resumed = Update(alone(), second, settings, 10, moments=begun.moments)
    for step in range(4, 8):
        for shard, made in ((through, whole), (second, resumed)):
            give(shard, (-0.5) ** step)
            made(PLAN, step)
    assert torch.equal(weights(second), weights(through))
    assert {len(kept) for kept in begun.moments.values()} == ({3} if optimizer == "adamw" else {0})
    give(first, 1.0)
    begun(PLAN, 8)
    assert not torch.equal(weights(first), weights(second))


def test_weights_of_a_ranks_own_are_updated_and_clipped_with_the_others(shard: Shard) -> None:
    own = nn.Parameter(torch.zeros(4))
    made = update(shard, clip_norm=1.0, learning_rate=1.0)
    made.adopt([own])
    give(shard, 0.0)
    own.grad = torch.full((4,), 5.0)  # of norm 10
    made(PLAN, 0)
    assert own.tolist() == pytest.approx([-0.5] * 4, rel=1e-4)
    assert own.grad is None


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_what_rests_stays_for_one_update(optimizer: str, shard: Shard) -> None:
    own, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    made = update(shard, optimizer=optimizer, learning_rate=0.5)
    made.adopt([own, other])
    seen = []
    for step in range(3):
        give(shard, 0.0)
        own.grad, other.grad = torch.ones(2), torch.ones(2)
        if step == 1:
            made.rest([own])
        made(PLAN, step)
        seen.append((own[0].item(), other[0].item()))
    assert seen[0][0] == seen[1][0] > seen[2][0]
    assert seen[0][1] > seen[1][1] > seen[2][1]
