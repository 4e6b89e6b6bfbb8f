"""Weights that several ranks train: gradients are summed, and the norm counts each weight once."""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Transport
from mpiedge.model.blueprint import open_model
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import ModelSettings
from mpiedge.model.shard import Shard
from mpiedge.pipeline.sync import global_norm, gradient_of, sum_gradients, trained
from mpiedge.plan.partition import PartitionPlan, Stage
from tests.models import save_tiny

TIED = "transformer.wte.weight"
EVERY = frozenset(range(4))
PIPELINE = PartitionPlan(
    ((Stage(0, range(2), frozenset({0, 1})), Stage(1, range(2, 4), frozenset({2, 3}))),), (0,)
)
REPLICAS = PartitionPlan(((Stage(0, range(4), EVERY),), (Stage(1, range(4), EVERY),)), (0, 1))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("gpt2", tmp_path_factory.mktemp("sync") / "gpt2")


def shard_of(folder: Path, plan: PartitionPlan, rank: int) -> Shard:
    """A rank's layers of a language model of which every weight is trained."""
    blueprint = open_model(ModelSettings(name=str(folder)), Purpose.LANGUAGE, 0)
    names = frozenset(name for name, _ in blueprint.model.named_parameters())
    return load(blueprint, plan.layers_of(rank), tuned=names)


def part(name: str, rank: int, shape: torch.Size) -> Tensor:
    """What a rank's backward passes are taken to have left for a weight."""
    seed = int.from_bytes(hashlib.sha256(f"{rank}{name}".encode()).digest()[:4], "big")
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def on_both(
    gpt2: Path, plan: PartitionPlan, step: Callable[[Transport, Shard], float]
) -> list[tuple[dict[str, Tensor], float]]:
    """Each rank's gradients after a step, and the step's result."""

    def body(transport: Transport) -> tuple[dict[str, Tensor], float]:
        shard = shard_of(gpt2, plan, transport.rank)
        for name, parameter in shard.tuned_parameters().items():
            parameter.grad = part(name, transport.rank, parameter.shape)
        result = step(transport, shard)
        gradients = {name: gradient_of(p) for name, p in shard.tuned_parameters().items()}
        return gradients, result

    return run_ranks(2, body)


def summed(plan: PartitionPlan) -> Callable[[Transport, Shard], float]:
    def step(transport: Transport, shard: Shard) -> float:
        sum_gradients(transport, shard, plan)
        return global_norm(transport, shard, plan)

    return step


def test_a_tied_weight_is_summed_over_the_ranks_that_hold_it(gpt2: Path) -> None:
    (first, _), (last, _) = on_both(gpt2, PIPELINE, summed(PIPELINE))
    assert first.keys() & last.keys() == {TIED}
    shape = first[TIED].shape
    assert torch.equal(first[TIED], part(TIED, 0, shape) + part(TIED, 1, shape))
    assert torch.equal(first[TIED], last[TIED])
    for rank, gradients in enumerate((first, last)):
        for name in gradients.keys() - {TIED}:
            assert torch.equal(gradients[name], part(name, rank, gradients[name].shape)), name


def test_the_global_norm_counts_each_weight_once(gpt2: Path) -> None:
    (first, norm), (last, other) = on_both(gpt2, PIPELINE, summed(PIPELINE))
    squares = sum(float(g.double().norm() ** 2) for g in {**first, **last}.values())
    assert norm == other
    assert norm == pytest.approx(math.sqrt(squares), rel=1e-6)
    twice = squares + float(first[TIED].double().norm() ** 2)
    assert norm < 0.99 * math.sqrt(twice)


def test_replicas_end_with_the_same_sum_of_every_weight(gpt2: Path) -> None:
    (first, norm), (last, other) = on_both(gpt2, REPLICAS, summed(REPLICAS))
    assert len(first) > 20
    for name, gradient in first.items():
        shape = gradient.shape
        torch.testing.assert_close(gradient, part(name, 0, shape) + part(name, 1, shape))
        assert torch.equal(gradient, last[name])
    squares = sum(float(g.double().norm() ** 2) for g in first.values())
    assert norm == other == pytest.approx(math.sqrt(squares), rel=1e-6)


def test_a_weight_that_no_micro_batch_reached_counts_as_zero(gpt2: Path) -> None:
    def step(transport: Transport, shard: Shard) -> float:
        if transport.rank == 1:
            shard.tuned_parameters()[TIED].grad = None
        return summed(PIPELINE)(transport, shard)

    (first, _), (last, _) = on_both(gpt2, PIPELINE, step)
    assert torch.equal(first[TIED], part(TIED, 0, first[TIED].shape))
    assert torch.equal(last[TIED], first[TIED])


def test_weights_are_grouped_by_the_ranks_that_train_them(gpt2: Path) -> None:
    shard = shard_of(gpt2, PIPELINE, 1)
    groups = trained(shard, PIPELINE, 1)
    assert groups.keys() == {(0, 1), (1,)}
    assert groups[0, 1].keys() == {TIED}
    top = PartitionPlan(((Stage(0, range(3)), Stage(1, range(3, 4), frozenset({3}))),), (0,))
    # Layer 0 is frozen in this plan, so the tied weight is rank 1's alone.
    assert trained(shard_of(gpt2, top, 1), top, 1).keys() == {(1,)}
    assert trained(shard_of(gpt2, top, 0), top, 0) == {}
