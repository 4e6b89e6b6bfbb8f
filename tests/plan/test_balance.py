import random
from dataclasses import replace
from itertools import combinations
from math import inf

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible, balance, check_memory
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import Stage

LINK = Link(bandwidth=1e8, latency=1e-4)


def _layer(forward: float, weights: int = 10, activation: int = 1) -> LayerProfile:
    return LayerProfile(forward, 2 * forward, weights, 1, activation, 8)


def _even(layers: int, speeds: list[float], memory: int = 10**9) -> CostModel:
    profiles = tuple(_layer(1.0) for _ in range(layers))
    return CostModel(profiles, tuple(Device(s, memory) for s in speeds), LINK)


def test_equal_devices_get_equal_parts() -> None:
    parts = balance(_even(8, [1, 1, 1, 1]), range(4), frozenset(range(8)))
    assert [len(part) for part in parts] == [2, 2, 2, 2]


def test_a_faster_device_gets_more_layers() -> None:
    parts = balance(_even(9, [1, 2]), range(2), frozenset(range(9)))
    assert [len(part) for part in parts] == [3, 6]


def test_frozen_layers_cost_no_backward_pass() -> None:
    # forward 1, backward 2: two trained layers weigh as much as six frozen ones
    parts = balance(_even(8, [1, 1]), range(2), frozenset({6, 7}))
    assert [len(part) for part in parts] == [6, 2]


def test_among_equals_the_most_even_cut_is_taken() -> None:
    parts = balance(_even(5, [1, 1, 1]), range(3), frozenset(range(5)))
    assert sorted(len(part) for part in parts) == [1, 2, 2]


def test_more_ranks_than_layers_is_bad_input() -> None:
    with pytest.raises(BadInput, match="4 ranks are more than the model's 3 layers"):
        balance(_even(3, [1, 1, 1, 1]), range(4), frozenset({1}))


def test_too_little_memory_is_infeasible_and_says_how_much_there_is() -> None:
    with pytest.raises(Infeasible, match="rank 0 has the least, 0 MiB"):
        balance(_even(4, [1, 1], memory=20), range(2), frozenset())


@pytest.mark.parametrize("seed", range(120))
def test_as_fast_as_the_best_of_all_cuts(seed: int) -> None:
    chance = random.Random(seed)
    layers = tuple(
        _layer(chance.choice([0.1, 1, 2, 5]), chance.randint(1, 40), chance.randint(0, 20))
        for _ in range(chance.randint(3, 7))
    )
    devices = tuple(
        Device(chance.choice([0.5, 1, 3]), chance.randint(60, 250))
        for _ in range(chance.randint(1, 3))
    )
    cost = CostModel(layers, devices, LINK)
    trainable = frozenset(i for i in range(len(layers)) if chance.random() < 0.5)
    lowest = min(trainable, default=len(layers))

    def slowest(cuts: tuple[int, ...]) -> float:
        bounds, worst = [0, *cuts, len(layers)], 0.0
        for rank in range(len(devices)):
            part = range(bounds[rank], bounds[rank + 1])
            stage = Stage(rank, part, trainable & frozenset(part))
            ends = lowest in part
            if cost.memory(stage, ends, len(devices) - rank) > devices[rank].memory:
                return inf
            back = cost.backward(stage, ends) if part.stop > lowest else 0.0
            worst = max(worst, cost.forward(stage) + back)
        return worst

    every = combinations(range(1, len(layers)), len(devices) - 1)
    best = min(map(slowest, every), default=inf)
    if best == inf:
        with pytest.raises(Infeasible):
            balance(cost, range(len(devices)), trainable)
    else:
        parts = balance(cost, range(len(devices)), trainable)
        assert slowest(tuple(part.stop for part in parts[:-1])) == pytest.approx(best)


def test_a_whole_model_that_does_not_fit_says_what_it_needs_and_what_there_is() -> None:
    cost = CostModel((_layer(1.0, weights=5 * 2**20),) * 2, (Device(1.0, 8 * 2**20),), LINK)
    with pytest.raises(Infeasible, match="needs 10 MiB for training and rank 0 has 8 MiB free"):
        check_memory(cost, Stage(0, range(2)))
    check_memory(cost, Stage(0, range(1)))


def test_an_optimizer_without_moments_fits_where_one_with_two_does_not() -> None:
    layer = LayerProfile(1.0, 2.0, weights=100, tuned=100, activation=0, boundary=8)
    cost = CostModel((layer, layer), (Device(1.0, 200),) * 2, LINK, moments=0)
    assert balance(cost, range(2), frozenset({0, 1})) == (range(1), range(1, 2))
    with pytest.raises(Infeasible):
        balance(replace(cost, moments=2), range(2), frozenset({0, 1}))
