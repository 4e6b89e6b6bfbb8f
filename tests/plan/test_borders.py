"""Borders between stages, moved one by one."""

import random

import pytest

from mpiedge.plan.borders import moved, settled
from mpiedge.plan.grouping import Group, Grouping


def grouping(*counts: int) -> Grouping:
    """A stage on each rank, of so many layers."""
    stops = [sum(counts[: place + 1]) for place in range(len(counts))]
    groups = tuple(
        Group((rank,), range(stop - count, stop), (1,))
        for rank, (stop, count) in enumerate(zip(stops, counts, strict=True))
    )
    return Grouping(groups, 1, 1, 0.0)


def cuts(one: Grouping) -> tuple[int, ...]:
    return tuple(len(group.layers) for group in one.groups)


def test_each_border_goes_anywhere_between_its_neighbours() -> None:
    found = sorted(map(cuts, moved(grouping(2, 1, 2), bridge=None)))
    assert found == [(1, 2, 2), (2, 2, 1)]
    assert sorted(map(cuts, moved(grouping(2, 3), None))) == [(1, 4), (3, 2), (4, 1)]
    assert not list(moved(grouping(4), None))


def test_no_stage_comes_to_stand_on_both_sides_of_the_bridge() -> None:
    assert sorted(map(cuts, moved(grouping(2, 1, 2), bridge=2))) == [(2, 2, 1)]
    assert not list(moved(grouping(2, 2), bridge=2))


@pytest.mark.parametrize("seed", range(20))
def test_it_ends_where_no_border_is_better_placed(seed: int) -> None:
    chance = random.Random(seed)
    price = {(a, b): chance.random() for a in range(8) for b in range(8)}

    def cost(one: Grouping) -> tuple[float, ...]:
        return (price[one.groups[0].layers.stop, one.groups[1].layers.stop],)

    begun = grouping(2, 2, 3)
    ended = settled(begun, None, cost)
    assert cost(ended) <= cost(begun)
    assert all(cost(other) >= cost(ended) for other in moved(ended, None))
