"""How much slower than planned devices are, and what they cost then."""

import pytest

from mpiedge.plan.cost import CostModel, Device, Link
from mpiedge.plan.slowness import slowed, slowness

COST = CostModel((), (Device(1.0, 10), Device(2.0, 20)), Link(1e6, 1e-3))


def test_a_factor_that_all_share_is_none() -> None:
    assert slowness({0: 3.0, 1: 6.0}, {0: 1.0, 1: 2.0}) == {0: 1.0, 1: 1.0}


def test_each_is_compared_with_the_best() -> None:
    assert slowness({0: 1.0, 1: 8.0, 2: 3.0}, {0: 1.0, 1: 2.0, 2: 3.0}) == {0: 1.0, 1: 4.0, 2: 1.0}


@pytest.mark.parametrize("planned", [{}, {0: 0.0}, {2: 1.0}])
def test_what_is_not_known_is_left_out(planned: dict[int, float]) -> None:
    assert slowness({0: 1.0, 1: 2.0}, planned) == {}
    assert slowness({0: 1.0, 1: 2.0}, {**planned, 1: 1.0}) == {1: 1.0}


def test_devices_are_so_much_slower() -> None:
    assert slowed(COST, (4.0, 1.0)).devices == (Device(0.25, 10), Device(2.0, 20))
    assert slowed(COST, ()) is COST
