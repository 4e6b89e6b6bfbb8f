"""The least that a batch can take, against what it takes when played through."""

import random
from dataclasses import replace

import pytest

from mpiedge.plan.bound import at_least
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.grouping import Group, Problem
from mpiedge.plan.hybrid import group
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import simulate
from tests.plan.problems import random_problem, roomy

_LAYER = LayerProfile(1.0, 2.0, 100, 50, 10, boundary=1000, gradient=100)
_COST = CostModel((_LAYER,) * 4, (Device(1.0, 9**9),) * 3, Link(bandwidth=1000.0, latency=0.0))


def _problem(trainable: frozenset[int]) -> Problem:
    return Problem(_COST, trainable, rows=2, micro_batches=3, together=False)


def test_by_hand() -> None:
    every = frozenset(range(4))
    groups = (Group((0, 1), range(2), (1, 1)), Group((2,), range(2, 4), (2,)))
    # Above: six rows of 6 s, after a row's 2 + 4 s below and its way over the link and back.
    assert at_least(_problem(every), groups) == pytest.approx((6 + 1 + 0.1 + 36) / 6)
    # Three quarters of the work below: that stage is busy all the time.
    low = (Group((0,), range(3), (2,)), Group((1, 2), range(3, 4), (1, 1)))
    assert at_least(_problem(every), low) == pytest.approx(54 / 6)


def test_a_frozen_stage_sends_nothing_back() -> None:
    groups = (Group((0, 1), range(2), (1, 1)), Group((2,), range(2, 4), (2,)))
    above = _problem(frozenset({3}))
    assert at_least(above, groups) == pytest.approx((2 + 1 + 6 * 4) / 6)


def _pipeline(problem: Problem) -> Problem:
    """One rank a stage."""
    stages = min(len(problem.cost.devices), len(problem.cost.layers))
    cost = replace(problem.cost, devices=problem.cost.devices[:stages])
    groups = tuple((rank,) for rank in range(stages))
    return replace(problem, cost=cost, groups=groups, together=False)


@pytest.mark.parametrize("seed", range(700, 780))
def test_no_pipeline_is_faster(seed: int) -> None:
    problem = _pipeline(roomy(random_problem(random.Random(seed))))
    groups = group(problem).groups
    route = tuple(
        Stage(each.ranks[0], each.layers, problem.trainable & frozenset(each.layers))
        for each in groups
    )
    count = problem.rows * problem.micro_batches
    played = simulate(PartitionPlan((route,), (0,) * count), problem.cost).makespan
    assert count * at_least(problem, groups) <= played + 1e-9
