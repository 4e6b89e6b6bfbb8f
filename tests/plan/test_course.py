"""What the stages of a plan's routes cost."""

import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.course import courses
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.places import ONE_F_ONE_B

LAYER = LayerProfile(1.0, 2.0, 1, 1, 1, boundary=100, gradient=10)
COST = CostModel((LAYER,) * 3, (Device(1.0, 9), Device(0.5, 9), Device(1.0, 9)), Link(10.0, 0.5))


def _route(trainable: frozenset[int]) -> tuple[Stage, ...]:
    return tuple(Stage(i, range(i, i + 1), trainable & {i}) for i in range(3))


def test_passes_and_messages_of_every_stage() -> None:
    plan = PartitionPlan((_route(frozenset({1, 2})),), (0, 0))
    (course,) = courses(plan, COST, ONE_F_ONE_B)
    assert (course.lowest, course.bare) == (1, 1)
    assert [leg.forward for leg in course.legs] == [1.0, 2.0, 1.0]
    assert [leg.backward for leg in course.legs] == [0.0, 4.0, 2.0]
    assert [leg.up for leg in course.legs] == pytest.approx([10.5, 10.5, 0.0])
    assert [leg.down for leg in course.legs] == pytest.approx([0.0, 0.0, 1.5])
    assert [leg.place.slot.rank for leg in course.legs] == [0, 1, 2]


def test_a_frozen_route_is_bare_to_its_end() -> None:
    (course,) = courses(PartitionPlan((_route(frozenset()),), (0,)), COST, ONE_F_ONE_B)
    assert (course.lowest, course.bare) == (None, 3)
    assert [leg.backward for leg in course.legs] == [0.0, 0.0, 0.0]


def test_after_each_micro_batch_comes_the_next_of_its_route() -> None:
    routes = tuple((Stage(rank, range(3)),) for rank in range(3))
    plan = PartitionPlan(routes, (0, 1, 0, 0, 2, 1))
    made = courses(plan, COST, ONE_F_ONE_B)
    assert [course.following for course in made] == [{0: 2, 2: 1, 3: 3}, {1: 4, 5: 2}, {4: 6}]
