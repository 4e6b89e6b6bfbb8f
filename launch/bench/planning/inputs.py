"""Clusters of unequal devices, and plans over many ranks, of any size."""

import random

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.strategy import Work

_GBIT = Link(bandwidth=1.25e8, latency=2e-4)
_MIB = 2**20


def work(devices, layers, micro_batches, memory=(900, 6000), seed=1):
    """Layers with a side network beside them, over devices no two of which are alike."""
    chance = random.Random(seed)
    each = []
    for _ in range(layers):
        forward = 0.01 * chance.choice([1, 1, 1, 2])
        each.append(
            LayerProfile(
                forward=forward,
                backward=0.3 * forward,
                weights=40 * _MIB,
                tuned=_MIB // 4,
                activation=2 * _MIB,
                boundary=_MIB // 2,
                gradient=_MIB // 16,
                working=4 * _MIB,
                frozen_forward=0.8 * forward,
                frozen_weights=39 * _MIB,
            )
        )
    row = [
        Device(chance.choice([0.5, 1, 1.7, 2.3]) * chance.uniform(1, 1.2), _memory(chance, memory))
        for _ in range(devices)
    ]
    cost = CostModel(tuple(each), tuple(row), _GBIT, rows=4)
    return Work(cost, frozenset(range(layers)), micro_batches, batches=100, epoch=10)


def _memory(chance, between):
    return chance.randint(*between) * _MIB


def pipeline_plan(ranks, micro_batches=8):
    """One route, a stage a rank, all of it trained."""
    route = tuple(Stage(r, range(r, r + 1), frozenset({r})) for r in range(ranks))
    return PartitionPlan((route,), (0,) * micro_batches)


def replicas_plan(ranks):
    """The whole model on every rank, a micro-batch each."""
    every = frozenset(range(96))
    routes = tuple((Stage(rank, range(96), every),) for rank in range(ranks))
    return PartitionPlan(routes, tuple(range(ranks)), joint_update=True)


def hybrid_plan(ranks, stages=10):
    """Ten stages, each replicated over a tenth of the ranks, two micro-batches for each replica."""
    size, layers = ranks // stages, 9
    routes = tuple(
        tuple(_replica(stage, rank, size, layers) for stage in range(stages))
        for rank in range(size)
    )
    return PartitionPlan(routes, tuple(range(size)) * 2)


def _replica(stage, rank, size, layers):
    part = range(stage * layers, (stage + 1) * layers)
    return Stage(stage * size + rank, part, frozenset(part))
