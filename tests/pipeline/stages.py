"""A tiny model laid over ranks that are threads, and what each rank was left with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mpiedge.comm.ledger import Traffic
from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Kind, Transport
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.blueprint import Blueprint, open_model
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings, ModelSettings
from mpiedge.model.shard import Shard
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.portion import MicroBatch, Portion, Source
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import simulate

LABELS = 3


def cut(
    *parts: range, trainable: Iterable[int] = range(1, 100), micro_batches: int = 4
) -> PartitionPlan:
    """One route, a rank for each part."""
    wanted = frozenset(trainable)
    route = tuple(Stage(rank, part, wanted & set(part)) for rank, part in enumerate(parts))
    return PartitionPlan((route,), (0,) * micro_batches, joint_update=True)


def shard_of(folder: Path, plan: PartitionPlan, rank: int, kind: str = "lora") -> Shard:
    """A rank's layers of a classifier, of which the plan's trainable ones are tuned."""
    blueprint = open_model(ModelSettings(name=str(folder)), Purpose.CLASSIFICATION, LABELS)
    settings = AdapterSettings(kind=kind, r=4)
    inject(blueprint.model, settings, blueprint.family.name, blueprint.head_names)
    names = tuned_names(blueprint.model, settings, blueprint.head_names)
    return load(blueprint, plan.layers_of(rank), tuned=_trained(blueprint, plan, names))


def _trained(blueprint: Blueprint, plan: PartitionPlan, names: frozenset[str]) -> frozenset[str]:
    layers = frozenset(plan.trainers)
    return frozenset(name for name in names if layers.issuperset(blueprint.layers_of(name)))


def rows(number: int) -> MicroBatch:
    """Two rows of tokens and their labels, others for each number."""
    draw = torch.Generator().manual_seed(number)
    tokens = torch.randint(5, 300, (2, 6), generator=draw)
    labels = torch.randint(0, LABELS, (2,), generator=draw)
    mask = torch.ones_like(tokens)
    return MicroBatch(mask, {0: (tokens, torch.zeros_like(tokens))}, labels, scale=1 / 8)


class CrossEntropy:
    """The loss of a classifier; observed are the logits."""

    def judged(self, labels: Tensor) -> None:
        return None

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, reduction="sum")

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([logits, labels[:, None]], dim=1)


@dataclass
class Heard:
    """A monitor that keeps what it is told."""

    values: dict[int, Tensor] = field(default_factory=dict)
    actions: int = 0

    def result(self, number: int, value: Tensor) -> None:
        self.values[number] = value

    def acted(self) -> None:
        self.actions += 1


class Left(NamedTuple):
    """What one rank was left with."""

    sent: Traffic
    gradients: dict[str, Tensor]
    heard: Heard
    busy: float
    updates: int
    training: bool

    def messages(self, kind: Kind) -> Counter[int]:
        """How many messages of a kind went to whom."""
        return Counter({to: n.messages for (what, to), n in self.sent.items() if what is kind})


@dataclass(frozen=True)
class _Noting:
    """Takes note of the plans that are updated by, and does nothing else."""

    updates: list[PartitionPlan]

    def arrive(self, plan: PartitionPlan, index: int, batch: int, stage: Stage) -> None:
        return

    def closing(self, plan: PartitionPlan, index: int) -> AbstractContextManager[None]:
        return nullcontext()

    def update(self, plan: PartitionPlan, index: int, batch: int) -> None:
        self.updates.append(plan.batch(index))


def compute(
    folder: Path, plan: PartitionPlan, source: Source = rows, seed: int = 0, first: int = 0
) -> list[Left]:
    """Run one batch of a plan; gradients are as each rank's backward passes left them."""

    def body(transport: Transport) -> Left:
        shard, updates = shard_of(folder, plan, transport.rank), list[PartitionPlan]()
        engine = Engine(transport, shard, CrossEntropy(), _Noting(updates), seed)
        heard = Heard()
        actions = simulate(plan).schedule[transport.rank]
        engine.run(Portion(plan, actions, first, source), heard)
        transport.close()
        tuned = shard.tuned_parameters().items()
        return Left(
            sent=transport.ledger.sent(),
            gradients={name: p.grad.clone() for name, p in tuned if p.grad is not None},
            heard=heard,
            busy=engine.busy,
            updates=len(updates),
            training=shard.training,
        )

    return run_ranks(len(plan.ranks), body)


def joined(ranks: Sequence[Left]) -> dict[str, Tensor]:
    """The gradients of all ranks, each weight on one of them."""
    gradients: dict[str, Tensor] = {}
    for left in ranks:
        assert gradients.keys().isdisjoint(left.gradients)
        gradients.update(left.gradients)
    return gradients
