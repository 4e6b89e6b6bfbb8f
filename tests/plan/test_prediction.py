"""Predicted time, memory and bytes by hand; bytes and memory in words of the cost model."""

import random
from dataclasses import replace

import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.prediction import Amount, Carried, Memory, Part, Way, predict

LAYER = LayerProfile(1.0, 2.0, 100, 10, 7, boundary=80, gradient=40, working=3)
COST = CostModel((LAYER,) * 4, (Device(1.0, 999),) * 4, Link(bandwidth=1000.0, latency=0.0))


def _stage(rank: int, *layers: int, tuned: bool = True) -> Stage:
    part = range(layers[0], layers[-1] + 1)
    return Stage(rank, part, frozenset(part if tuned else ()))


PIPELINE = PartitionPlan(((_stage(0, 0, 1), _stage(1, 2, 3)),), (0,) * 3)


def test_a_pipeline_of_two() -> None:
    found = predict(Part(PIPELINE, COST, batches=2))
    assert found.ranks[0].memory == Memory(180, 20, 20, 40, in_flight=2 * 14, working=3)
    assert found.ranks[1].memory == Memory(180, 20, 20, 40, in_flight=14, working=3)
    assert found.sent == {
        Way(0, 1, Carried.ACTIVATION): Amount(6, 480),
        Way(1, 0, Carried.GRADIENT): Amount(6, 240),
    }
    # Forward 2, on its way 0.08, three times forward and backward, back 0.04, backward 4; and
    # above a wait of 0.12 for the last one, which began below when the first was back.
    assert found.seconds == pytest.approx(2 * (2 + 0.08 + 18 + 0.12 + 0.04 + 4))
    assert found.ranks[1].busy == pytest.approx(36)
    assert found.ranks[1].utilisation == pytest.approx(36 / found.seconds)


def test_memory_is_that_of_the_cost_model_at_the_fullest_moment() -> None:
    chance = random.Random(7)
    for _ in range(40):
        layers = tuple(
            replace(LAYER, activation=chance.randint(0, 9), working=chance.randint(0, 9))
            for _ in range(4)
        )
        cost = replace(COST, layers=layers)
        found = predict(Part(PIPELINE, cost, batches=1))
        for (stage, held), use in zip(
            zip(PIPELINE.routes[0], (2, 1), strict=True), found.ranks.values(), strict=True
        ):
            assert use.memory.total == cost.memory(stage, stage.rank == 0, held)


def test_a_frozen_stage_keeps_nothing_and_gets_no_gradient() -> None:
    route = (_stage(0, 0, 1, tuned=False), _stage(1, 2, 3))
    found = predict(Part(PartitionPlan((route,), (0, 0)), COST, batches=1))
    assert found.ranks[0].memory == Memory(200, 0, 0, 0, 0, 3)
    assert {way.what for way in found.sent} == {Carried.ACTIVATION}


def test_replicas_sum_around_a_ring() -> None:
    routes = tuple((_stage(rank, 0, 1, 2, 3),) for rank in range(3))
    found = predict(Part(PartitionPlan(routes, (0, 1, 2)), COST, batches=2))
    # 40 bytes of gradients: each rank passes two thirds of them on, twice.
    assert found.sent == {
        Way(rank, (rank + 1) % 3, Carried.SUM): Amount(2, 2 * 53) for rank in range(3)
    }
    assert found.seconds == pytest.approx(2 * (12 + 4 * 40 / 3 / 1000))


def test_weights_that_the_next_batch_trains_elsewhere_cross_with_their_moments() -> None:
    block = _stage(0, 0, 1, 2)
    routes = tuple((block, _stage(rank, 3)) for rank in (1, 2))
    plan = PartitionPlan(routes, (0, 1), cycle=2)
    found = predict(Part(plan, COST, batches=3))
    assert found.sent[Way(1, 2, Carried.WEIGHTS)] == Amount(1, 30)
    assert found.sent[Way(2, 1, Carried.WEIGHTS)] == Amount(1, 30)
    assert found.sent[Way(0, 1, Carried.ACTIVATION)] == Amount(2, 160)


def test_a_stage_on_the_same_rank_takes_no_link() -> None:
    route = (_stage(0, 0), _stage(0, 1, 2), _stage(1, 3))
    found = predict(Part(PartitionPlan((route,), (0,)), COST, batches=1))
    assert {(way.source, way.dest) for way in found.sent} == {(0, 1), (1, 0)}
