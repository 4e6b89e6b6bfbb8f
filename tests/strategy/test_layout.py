"""A plan as runs of layers and the ranks that have them."""

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.layout import Held, layout


def test_groups_are_the_ranks_of_a_stage_with_their_shares() -> None:
    last = Stage(2, range(2, 4), frozenset({3}))
    routes = tuple((Stage(rank, range(2)), last) for rank in (1, 0))
    plan = PartitionPlan(routes, (0, 0, 1, 0))
    assert layout(plan) == (Held(range(2), {0: 0.25, 1: 0.75}), Held(range(2, 4), {2: 1.0}))


def test_over_a_cycle_all_batches_count() -> None:
    routes = tuple((Stage(rank, range(3)),) for rank in (0, 1))
    plan = PartitionPlan(routes, (0, 0, 1, 1), cycle=2)
    assert layout(plan) == (Held(range(3), {0: 0.5, 1: 0.5}),)
