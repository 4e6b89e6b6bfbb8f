"""Many devices: every cut that is found can be, and its slowest stage is near the bound."""

import random
from dataclasses import replace

import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile
from mpiedge.plan.crowd import EXACT, best_cuts, crowd_cuts, crowded, limit
from mpiedge.plan.cuts import Cut, cuts
from mpiedge.plan.grouping import Problem
from mpiedge.plan.hybrid import groupings, orders
from mpiedge.plan.loads import Loads
from tests.plan.problems import LINK, fits, random_problem, roomy, rows_seconds


def _slowest(problem: Problem, loads: Loads, cut: Cut) -> float:
    """Seconds of the slowest device, from the cost model's own words; everything has to fit."""
    seconds = []
    for i, (ranks, part) in enumerate(cut):
        shares = loads.shares(ranks, part, len(cut) - i)
        assert sum(shares) == problem.rows
        assert all(share >= 1 for share in shares)
        for rank, share in zip(ranks, shares, strict=True):
            assert fits(problem, rank, part, share, len(cut) - i)
            seconds.append(rows_seconds(problem, rank, part, share))
    return max(seconds)


def _whole(problem: Problem, cut: Cut, order: tuple[int, ...]) -> bool:
    ranks = tuple(rank for group, _ in cut for rank in group)
    layers = [i for _, part in cut for i in part]
    return ranks == order and layers == list(range(len(problem.cost.layers)))


def _many(seed: int, devices: int, layers: int = 12, rows: int = 600) -> Problem:
    """Devices that hold from a third of the model to all of it."""
    chance = random.Random(seed)
    each = tuple(
        LayerProfile(chance.choice([1.0, 1.5]), 0.5, chance.randint(5, 15), 1, 1, 1000)
        for _ in range(layers)
    )
    model = sum(layer.weights for layer in each)
    row = tuple(
        Device(chance.uniform(0.5, 3.0), int(model * chance.uniform(0.35, 1.5)))
        for _ in range(devices)
    )
    return Problem(CostModel(each, row, LINK), frozenset(range(layers)), rows, 1, together=False)


@pytest.mark.parametrize("seed", range(150))
def test_on_few_devices_it_can_be_and_the_best_is_no_worse(seed: int) -> None:
    problem = replace(random_problem(random.Random(seed)), together=False)
    loads, order = Loads(problem), tuple(range(len(problem.cost.devices)))
    best = cuts(loads.seconds, order, len(problem.cost.layers))
    for stages, cut in crowd_cuts(problem, loads, order).items():
        assert len(cut) == stages
        assert _whole(problem, cut, order)
        found, exact = (_slowest(problem, loads, each) for each in (cut, best[stages]))
        assert limit(problem) <= exact + 1e-9
        assert exact <= found + 1e-9


@pytest.mark.parametrize("seed", range(12))
def test_on_many_devices_the_slowest_stage_is_near_the_bound(seed: int) -> None:
    problem = _many(seed, devices=60)
    loads, nearest = Loads(problem), []
    for order in orders(problem):
        for cut in crowd_cuts(problem, loads, order).values():
            assert _whole(problem, cut, order)
            nearest.append(_slowest(problem, loads, cut) / limit(problem))
    assert 1 <= min(nearest) < 1.15


@pytest.mark.parametrize("seed", range(6))
def test_where_both_can_be_asked_the_exact_cut_is_hardly_faster(seed: int) -> None:
    problem = _many(seed, devices=EXACT, rows=200)
    loads, (order, *_) = Loads(problem), orders(problem)[1:]  # by memory: all have solutions
    exact = cuts(loads.seconds, order, len(problem.cost.layers))
    found = crowd_cuts(problem, loads, order)
    best, near = (
        min(_slowest(problem, loads, cut) for cut in each.values()) for each in (exact, found)
    )
    assert best <= near < 1.2 * best


def test_a_crowd_begins_above_so_many_devices_and_only_where_rows_pass_one_by_one() -> None:
    many, few = _many(1, EXACT + 1), _many(1, EXACT)
    assert crowded(many)
    assert not crowded(few)
    assert not crowded(replace(many, together=True))
    assert not crowded(replace(many, groups=(tuple(range(EXACT + 1)),)))


def test_few_devices_and_given_groups_are_cut_exactly() -> None:
    few = _many(2, 6, layers=5)
    loads, order = Loads(few), tuple(range(6))
    assert best_cuts(few, loads, order) == cuts(loads.seconds, order, 5)
    halves = tuple(range(30)), tuple(range(30, 60))
    given = roomy(replace(_many(3, 60), groups=halves))
    cut = best_cuts(given, Loads(given), tuple(range(60)))[2]
    assert tuple(ranks for ranks, _ in cut) == halves


def test_sixty_devices_are_all_grouped_and_the_largest_micro_batch_is_taken() -> None:
    problem = _many(4, 60)
    found = groupings(problem, [(600, 1), (300, 2), (2, 300)])
    assert {one.rows for one in found} == {600}
    for one in found:
        assert sorted(rank for part in one.groups for rank in part.ranks) == list(range(60))


def test_equal_devices_without_want_of_memory_reach_the_bound() -> None:
    layer = LayerProfile(1.0, 1.0, 1, 1, 1, 1)
    cost = CostModel((layer,) * 4, (Device(1.0, 10**6),) * 40, LINK)
    problem = Problem(cost, frozenset(range(4)), 1200, 1, together=False)
    found = crowd_cuts(problem, Loads(problem), tuple(range(40)))
    loads = Loads(problem)
    assert {n: _slowest(problem, loads, found[n]) for n in (1, 2, 4)} == {1: 240, 2: 240, 4: 240}
    assert limit(problem) == 240
