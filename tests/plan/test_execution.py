"""A given order against a cost: as the play where it is the play's own, and by hand."""

import random

import pytest

from mpiedge.plan.cost import UnitCost
from mpiedge.plan.execution import execute
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import GPIPE, ONE_F_ONE_B, simulate
from mpiedge.plan.timeline import Pass
from tests.plan.test_schedule import RandomCost, random_plan


@pytest.mark.parametrize("seed", range(150))
def test_the_order_of_a_play_takes_as_long_as_the_play(seed: int) -> None:
    chance = random.Random(seed)
    plan, batches = random_plan(chance), chance.randint(1, 4)
    policy, cost = chance.choice([ONE_F_ONE_B, GPIPE]), RandomCost(seed)
    played = simulate(plan, cost, policy, batches)
    executed = execute(plan, played.schedule, cost)
    assert executed.schedule == played.schedule
    alone = all(
        len(ranks) == 1 for k in range(plan.cycle) for ranks in plan.batch(k).partners.values()
    )
    if alone:
        assert set(executed.spans) == set(played.spans)
    else:
        # The play lets a rank update before a partner's slower backward pass has ended.
        assert executed.makespan >= played.makespan - 1e-9


@pytest.mark.parametrize("seed", range(50))
def test_another_cost_changes_times_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    plan, batches = random_plan(chance), chance.randint(1, 3)
    schedule = simulate(plan, batches=batches).schedule
    executed = execute(plan, schedule, RandomCost(seed))
    assert executed.schedule == schedule
    for spans in executed.by_rank.values():
        ends = [0.0, *(span.end for span in spans)]
        assert all(span.start >= end for span, end in zip(spans, ends, strict=False))


def _replicas(joint: bool) -> PartitionPlan:
    routes = tuple((Stage(rank, range(2), frozenset({1})),) for rank in (0, 1))
    return PartitionPlan(routes, (0, 0, 1), joint)


def test_ranks_that_update_together_wait_for_the_last_and_sum() -> None:
    plan = _replicas(joint=False)
    executed = execute(plan, simulate(plan, batches=2).schedule, UnitCost(), {0: 0.5, 1: 0.5})
    updates = [span for span in executed.spans if span.action.which is Pass.UPDATE]
    assert [(span.rank, span.start, span.end) for span in updates] == [
        (0, 4.0, 4.5),
        (1, 4.0, 4.5),
        (0, 8.5, 9.0),
        (1, 8.5, 9.0),
    ]
    assert executed.busy(1) == 2 * 2.5


def test_a_schedule_in_which_ranks_wait_for_each_other_is_refused() -> None:
    plan = _replicas(joint=True)
    schedule = simulate(plan).schedule
    broken = {0: schedule[0], 1: schedule[1][:-1]}
    with pytest.raises(ValueError, match="stalls: 1 of its actions"):
        execute(plan, broken, UnitCost())
