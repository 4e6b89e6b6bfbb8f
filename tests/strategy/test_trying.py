"""Cuts that are tried out: never worse than the balanced one, and better over a slow link."""

import random

import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.prediction import Part, predict
from mpiedge.strategy import trying
from mpiedge.strategy.trying import Sizes, fastest, runs


def layer(boundary: int) -> LayerProfile:
    return LayerProfile(0.1, 0.1, 100, 10, 10, boundary=boundary)


def chain(sizes: Sizes) -> PartitionPlan:
    parts = enumerate(runs(sizes))
    return PartitionPlan((tuple(Stage(r, p, frozenset(p)) for r, p in parts),), (0,) * 4)


def seconds(sizes: Sizes, cost: CostModel) -> float:
    return predict(Part(chain(sizes), cost, 3)).seconds


def model(seed: int, layers: int, ranks: int) -> CostModel:
    chance = random.Random(seed)
    each = tuple(layer(chance.choice([1, 1000])) for _ in range(layers))
    devices = tuple(Device(chance.choice([0.5, 1.0, 2.0]), 10**6) for _ in range(ranks))
    return CostModel(each, devices, Link(1000.0, 0.0))


def test_a_slow_link_is_crossed_where_little_crosses_it() -> None:
    narrow = (layer(5000), layer(5000), layer(1), layer(5000))
    cost = CostModel(narrow, (Device(1.0, 10**6),) * 2, Link(1000.0, 0.0))
    assert fastest((2, 2), chain, cost) == (3, 1)


def test_a_cut_that_fits_is_kept() -> None:
    cost = CostModel((layer(5000),) * 3 + (layer(1),) * 2, (Device(1.0, 500),) * 2, Link(1e3, 0.0))
    # On one device four layers with what they need are more than 500 bytes.
    assert fastest((3, 2), chain, cost) in {(3, 2), (2, 3)}


@pytest.mark.parametrize("seed", range(6))
def test_few_cuts_are_all_tried_and_of_many_some(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost, start = model(seed, 7, 3), (2, 2, 3)
    every = [seconds((a, b, 7 - a - b), cost) for a in range(1, 6) for b in range(1, 7 - a)]
    best = fastest(start, chain, cost)
    assert sum(best) == 7
    assert seconds(best, cost) <= min(every) / 0.99
    monkeypatch.setattr(trying, "_PASSES", 12 * 3 * 8)  # eight cuts of fifteen
    near = seconds(fastest(start, chain, cost), cost)
    assert min(every) <= near <= seconds(start, cost)
