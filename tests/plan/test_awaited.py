"""When a stage has the weights of a batch."""

from collections.abc import Iterable

from mpiedge.plan.awaited import Awaited, Waiting
from mpiedge.plan.cost import UnitCost
from mpiedge.plan.partition import PartitionPlan, Stage

FROZEN, TUNED = Stage(0, range(1)), Stage(1, range(1, 2), frozenset({1}))
PLAN = PartitionPlan(((FROZEN, TUNED),), (0,))
PASS = Waiting(0.0, 1, 3)


class _Slow(UnitCost):
    def travel(self, source: int, dest: int, layers: Iterable[int]) -> float:
        return 10.0 * source + dest + len(tuple(layers))


def test_a_frozen_stage_and_the_first_batch_wait_for_nothing() -> None:
    awaited = Awaited(PLAN, UnitCost())
    assert awaited.weights(FROZEN, 3, PASS) == 0.0
    assert awaited.weights(TUNED, 0, PASS) == 0.0


def test_a_tuned_stage_waits_for_the_update_before() -> None:
    awaited = Awaited(PLAN, UnitCost())
    assert awaited.weights(TUNED, 3, PASS) is None
    assert awaited.made(1, 1, 6.0) == []
    assert awaited.made(1, 2, 7.0) == [PASS]
    assert awaited.weights(TUNED, 3, PASS) == 7.0
    assert awaited.weights(TUNED, 2, PASS) == 6.0


def test_weights_that_were_tuned_elsewhere_travel() -> None:
    # Batch 0 is tuned on rank 1, batch 1 on rank 2; layer 0 always on rank 0.
    low = Stage(0, range(1), frozenset({0}))
    first, second = (Stage(rank, range(1, 3), frozenset({1, 2})) for rank in (1, 2))
    plan = PartitionPlan(((low, first), (low, second)), (0, 1), cycle=2)
    awaited = Awaited(plan, _Slow())
    assert awaited.weights(second, 1, PASS) is None
    assert awaited.made(1, 0, 5.0) == [PASS]
    assert awaited.weights(second, 1, PASS) == 5.0 + 10.0 + 2 + 2
    awaited.made(2, 1, 20.0)
    assert awaited.weights(first, 2, PASS) == 20.0 + 20.0 + 1 + 2


def test_a_stage_with_two_sources_asks_again_until_both_are_there() -> None:
    top, whole = Stage(1, range(1, 2), frozenset({1})), Stage(2, range(2), frozenset({0, 1}))
    low = Stage(0, range(1), frozenset({0}))
    plan = PartitionPlan(((low, top), (whole,)), (0, 1), cycle=2)
    awaited = Awaited(plan, UnitCost())
    assert awaited.weights(whole, 1, PASS) is None
    assert awaited.made(0, 0, 1.0) == [PASS]
    assert awaited.weights(whole, 1, PASS) is None
    assert awaited.made(1, 0, 3.0) == [PASS]
    assert awaited.weights(whole, 1, PASS) == 3.0
