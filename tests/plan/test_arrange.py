"""Blocks over a ring: as good as the best of all that could be done."""

import random
from itertools import combinations, pairwise, permutations
from math import inf

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.arrange import EXACT, Places, Ring, arrange
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link


def ring(chance: random.Random, ranks: int, blocks: int) -> Ring:
    layers = tuple(
        LayerProfile(
            forward=chance.choice([0.5, 1.0, 2.0]),
            backward=chance.choice([0.5, 1.0, 2.0]),
            weights=chance.randint(1, 4),
            tuned=1,
            activation=chance.randint(1, 3),
            boundary=1,
        )
        for _ in range(blocks + 2)
    )
    devices = tuple(
        Device(chance.choice([0.5, 1.0, 3.0]), chance.choice([15, 30, 60])) for _ in range(ranks)
    )
    trained = sorted(chance.choice([0.0, 0.2, 0.5, 1.0]) for _ in range(blocks))
    own = tuple(chance.randint(0, 5) for _ in range(ranks))
    cost = CostModel(layers, devices, Link(1e9, 0.0))
    return Ring(cost, tuple(range(1, blocks + 1)), tuple(trained), own, chance.randint(1, 2))


def slowest(made: Ring, places: Places) -> float:
    return max(made.seconds(rank, part) for rank, part in places)


def every(made: Ring, order: tuple[int, ...]) -> float:
    """The best over all cuts, in one order or, if none is given, in any."""
    ranks, blocks = len(made.cost.devices), len(made.blocks)
    orders = [order] if order else list(permutations(range(ranks)))
    cuts = [(0, *inner, blocks) for inner in combinations(range(1, blocks), ranks - 1)]
    parts = [[range(a, b) for a, b in pairwise(cut)] for cut in cuts]
    return min(
        slowest(made, tuple(zip(row, part, strict=True))) for row in orders for part in parts
    )


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("given", [False, True])
def test_as_good_as_brute_force(seed: int, given: bool) -> None:
    chance = random.Random(seed)
    ranks = chance.randint(1, 4)
    made = ring(chance, ranks, chance.randint(ranks, 7))
    order = tuple(chance.sample(range(ranks), ranks)) if given else ()
    best = every(made, order)
    if best == inf:
        with pytest.raises(Infeasible, match="MiB"):
            arrange(made, order)
        return
    places = arrange(made, order)
    assert slowest(made, places) == pytest.approx(best)
    assert sorted(rank for rank, _ in places) == list(range(ranks))
    assert [i for _, part in places for i in part] == list(range(len(made.blocks)))
    if given:
        assert tuple(rank for rank, _ in places) == order


def plain(speeds: tuple[float, ...], blocks: int, trained: tuple[float, ...]) -> Ring:
    layer = LayerProfile(forward=1.0, backward=1.0, weights=1, tuned=1, activation=1, boundary=1)
    devices = tuple(Device(speed, 1000) for speed in speeds)
    cost = CostModel((layer,) * (blocks + 2), devices, Link(1e9, 0.0))
    return Ring(cost, tuple(range(1, blocks + 1)), trained, (0,) * len(speeds))


def test_equal_devices_stay_in_their_order() -> None:
    places = arrange(plain((1.0,) * 4, 8, (1.0,) * 8))
    assert places == ((0, range(2)), (1, range(2, 4)), (2, range(4, 6)), (3, range(6, 8)))


def test_whoever_has_the_top_blocks_has_fewer_of_them() -> None:
    places = arrange(plain((1.0, 1.0), 6, (0.0, 0.0, 0.0, 0.0, 1.0, 1.0)))
    assert [len(part) for _, part in places] == [4, 2]


def test_of_many_devices_the_slowest_come_first() -> None:
    speeds = tuple(float(1 + (7 * i) % (EXACT + 2)) for i in range(EXACT + 1))
    places = arrange(plain(speeds, EXACT + 3, (1.0,) * (EXACT + 3)))
    found = [speeds[rank] for rank, _ in places]
    assert found == sorted(speeds)


def test_more_ranks_than_blocks_are_refused() -> None:
    with pytest.raises(BadInput, match="3 ranks are more than the model's 2 blocks"):
        arrange(plain((1.0,) * 3, 2, (1.0, 1.0)))
