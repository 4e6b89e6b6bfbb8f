"""Windows and orders of the stages of several routes."""

from math import inf

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.places import GPIPE, ONE_F_ONE_B, Slot, places

LOW, TOP = Stage(0, range(2)), Stage(1, range(2, 4))
PLAN = PartitionPlan(((LOW, TOP), (Stage(0, range(4)),)), (0, 1, 1, 1), cycle=2)


def test_1f1b_bounds_what_a_stage_holds_and_gpipe_does_not() -> None:
    windows = [[place.window for place in route] for route in places(PLAN, ONE_F_ONE_B)]
    assert windows == [[2, 1], [1]]
    assert {place.window for route in places(PLAN, GPIPE) for place in route} == {inf}


def test_a_bound_holds_for_every_stage() -> None:
    for policy in (ONE_F_ONE_B, GPIPE):
        (route, _) = places(PLAN, policy._replace(most=1))
        assert [place.window for place in route] == [1, 1]


def test_before_each_batch_of_a_cycle_so_many_have_passed() -> None:
    (low, top), (whole,) = places(PLAN, ONE_F_ONE_B)
    assert (low.slot, top.slot, whole.slot) == (Slot(0, 0, 2), Slot(1, 1, 2), Slot(0, 0, 1))
    assert low.before == top.before == [0, 1, 1]
    assert whole.before == [0, 1, 3]
