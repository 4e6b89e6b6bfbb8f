"""The least that a batch can take, against what it takes when played through."""

import random
from dataclasses import replace

import pytest

from mpiedge.plan.bound import at_least
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.grouping import Group, Problem
from mpiedge.plan.hybrid import groupings
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


def _dealt(problem: Problem, groups: tuple[Group, ...], chance: random.Random) -> PartitionPlan:
    """Every rank with its share of the micro-batches, whichever these are."""
    rows = []
    for each in groups:
        shares = zip(each.ranks, each.shares, strict=True)
        rows.append([rank for rank, share in shares for _ in range(share * problem.micro_batches)])
        chance.shuffle(rows[-1])
    paths = list(zip(*rows, strict=True))
    ways = list(dict.fromkeys(paths))
    routes = tuple(
        tuple(
            Stage(rank, group.layers, problem.trainable & frozenset(group.layers))
            for rank, group in zip(way, groups, strict=True)
        )
        for way in ways
    )
    return PartitionPlan(routes, tuple(map(ways.index, paths)))


@pytest.mark.parametrize("seed", range(700, 900))
def test_nothing_is_faster_when_played(seed: int) -> None:
    chance = random.Random(seed)
    problem = replace(roomy(random_problem(chance)), together=False)
    count = problem.rows * problem.micro_batches
    for one in groupings(problem):
        played = simulate(_dealt(problem, one.groups, chance), problem.cost).makespan
        assert count * at_least(problem, one.groups) <= played + 1e-9


def test_a_device_that_waits_for_rows_to_return_is_not_busy_all_the_time() -> None:
    # Rank 0 may hold two rows, and each is away for 10 s up, 1 s above and 1 s back.
    far, devices = Link(100.0, 0.0), (Device(1.0, 9**9), Device(9.0, 9**9))
    cost = replace(_COST, link=far, devices=devices)
    problem = Problem(cost, frozenset(range(4)), rows=1, micro_batches=10, together=False)
    groups = (Group((0,), range(1), (1,)), Group((1,), range(1, 4), (1,)))
    assert at_least(problem, groups) == pytest.approx((3 + 10 + 1 + 1) / 2)
    # Two rows after the other fill a window; the last of ten is still to go through.
    route = (Stage(0, range(1), frozenset({0})), Stage(1, range(1, 4), frozenset({1, 2, 3})))
    played = simulate(PartitionPlan((route,), (0,) * 10), cost).makespan
    assert 75 <= played < 90
