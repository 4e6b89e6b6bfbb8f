"""Blocks of a ring over unequal links: against all orders and cuts there are."""

import random
from collections.abc import Callable
from itertools import combinations, pairwise, permutations
from math import inf

import pytest

from mpiedge.plan.arrange import Places
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.prediction import Part, predict
from mpiedge.plan.schedule import ONE_F_ONE_B, Policy
from mpiedge.strategy.ring import blocks_of, ring
from mpiedge.strategy.ring_places import Laying, account, placed
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Work

LAYER = LayerProfile(0.01, 0.02, 10, 1, 1, boundary=1000)


def work(seed: int, ranks: int = 3, blocks: int = 5) -> Work:
    chance = random.Random(seed)
    devices = tuple(Device(chance.choice([0.5, 1.0, 2.0]), 10**9) for _ in range(ranks))
    rates = {pair: chance.choice([1e4, 1e5, 1e6]) for pair in combinations(range(ranks), 2)}
    links = tuple(
        tuple(
            Link(inf if a == b else rates[min(a, b), max(a, b)], 0.0 if a == b else 1e-3)
            for b in range(ranks)
        )
        for a in range(ranks)
    )
    cost = CostModel((LAYER,) * (blocks + 2), devices, Link(1e4, 0.0), links=links)
    trained = frozenset(range(1, blocks + 2))
    return Work(cost, trained, micro_batches=4, batches=24, epoch=2 * ranks, clients=(2,) * ranks)


def plan(given: Work, order: tuple[int, ...] = (), sizes: tuple[int, ...] = ()) -> PartitionPlan:
    depth = len(blocks_of(given))
    settings = StrategySettings(
        name="ring", interval=0, depth=depth, order=list(order), layers=list(sizes)
    )
    (phase,) = ring(settings, given)
    return phase.plan


def seconds(given: Work, found: PartitionPlan) -> float:
    return predict(Part(found, given.cost, 12)).seconds


def every(given: Work) -> list[PartitionPlan]:
    ranks, blocks = len(given.ranks), len(blocks_of(given))
    cuts = [
        tuple(b - a for a, b in pairwise((0, *ends, blocks)))
        for ends in combinations(range(1, blocks), ranks - 1)
    ]
    return [plan(given, order, sizes) for order in permutations(range(ranks)) for sizes in cuts]


@pytest.mark.parametrize("seed", range(5))
def test_the_ring_is_near_the_best_of_all(seed: int) -> None:
    given = work(seed)
    best = min(seconds(given, each) for each in every(given))
    assert seconds(given, plan(given)) <= 1.1 * best


def test_a_rough_account_puts_rings_about_in_order() -> None:
    given = work(1)
    plans = every(given)
    told = sorted(plans, key=lambda each: account(each, given.cost))
    real = sorted(seconds(given, each) for each in plans)
    assert seconds(given, told[0]) <= real[len(real) // 4]
    assert seconds(given, told[-1]) >= real[3 * len(real) // 4]


def test_a_given_order_is_kept() -> None:
    given = work(2)
    route = plan(given, (2, 0, 1)).routes[0]
    assert [stage.rank for stage in route[1:-1]] == [2, 0, 1]


def laying(given: Work, policy_of: Callable[[Places], Policy | None]) -> Laying:
    def plan_of(places: Places) -> PartitionPlan:
        return plan(given, tuple(r for r, _ in places), tuple(len(part) for _, part in places))

    return Laying(plan_of, policy_of, given.cost, free=True)


def test_places_that_do_not_fit_are_not_taken() -> None:
    given = work(3)
    start: Places = ((0, range(2)), (1, range(2, 4)), (2, range(4, 5)))
    assert placed(start, laying(given, lambda _: None)) == start
    only = laying(given, lambda places: ONE_F_ONE_B if places[0][0] == 0 else None)
    assert placed(start, only)[0][0] == 0
