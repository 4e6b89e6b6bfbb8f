"""Predicted messages and bytes against those of a batch that is computed."""

from pathlib import Path

import pytest
import torch

from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.wire import encode
from mpiedge.model.activation import Activation
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.prediction import Carried, Part, predict
from tests.models import save_tiny
from tests.pipeline.stages import compute, cut, shard_of

ROWS, LENGTH = 2, 6  # of every micro-batch there
KINDS = {Carried.ACTIVATION: Kind.ACTIVATION, Carried.GRADIENT: Kind.GRADIENT}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("predicted") / "bert")


def _carried(width: int) -> tuple[Activation, tuple[torch.Tensor, ...]]:
    """What a stage hands on, and the gradient that comes back."""
    nothing = torch.empty(0)
    hidden, mask = torch.zeros(ROWS, LENGTH, width), torch.ones(ROWS, LENGTH, dtype=torch.int64)
    return Activation(mask, hidden, nothing, nothing, nothing, nothing), (hidden,)


def _size(tensors: tuple[torch.Tensor, ...]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _replicated() -> PartitionPlan:
    """Two ranks below, one above."""
    every = frozenset(range(1, 4))
    low, top = range(2), range(2, 4)
    routes = tuple(
        (Stage(rank, low, every & set(low)), Stage(2, top, every & set(top))) for rank in (0, 1)
    )
    return PartitionPlan(routes, (0, 1, 0), joint_update=True)


@pytest.mark.parametrize("which", ["pipeline", "partly frozen", "replicated"])
def test_every_message_of_a_batch_is_foreseen_to_the_byte(bert: Path, which: str) -> None:
    parts = range(2), range(2, 3), range(3, 4)
    plan = {
        "pipeline": cut(*parts),
        "partly frozen": cut(*parts, trainable=range(2, 99)),
        "replicated": _replicated(),
    }[which]
    width = shard_of(bert, cut(range(1)), 0).blueprint.config.hidden_size
    there, back = _carried(width)
    profile = LayerProfile(1.0, 1.0, 1, 1, 1, boundary=_size(there), gradient=_size(back))
    cost = CostModel((profile,) * 4, (Device(1.0, 1),) * len(plan.ranks), Link(1e6, 0.0))
    predicted = predict(Part(plan, cost, batches=1)).sent
    heads = {
        Kind.ACTIVATION: encode(there, Tag(Kind.ACTIVATION)).size() - _size(there),
        Kind.GRADIENT: encode(back, Tag(Kind.GRADIENT)).size() - _size(back),
    }
    counted = {
        (rank, dest, kind): (count.messages, count.bytes - count.messages * heads[kind])
        for rank, left in enumerate(compute(bert, plan))
        for (kind, dest), count in left.sent.items()
        if kind in heads
    }
    foreseen = {
        (way.source, way.dest, KINDS[way.what]): tuple(amount)
        for way, amount in predicted.items()
        if way.what in KINDS
    }
    assert counted == foreseen
    assert counted
