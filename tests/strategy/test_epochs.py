"""The parts of a run's epochs."""

from dataclasses import replace

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import GPIPE
from mpiedge.strategy.epochs import epochs
from mpiedge.strategy.strategy import Phase, Source

LAYER = LayerProfile(2.0, 1.0, 50, 5, 1, 1, frozen_forward=1.5, frozen_weights=40)
COST = CostModel((LAYER,) * 2, (Device(1.0, 999),) * 2, Link(1e6, 0.0))
ROUTES = tuple((Stage(rank, range(2), frozenset({1})),) for rank in (0, 1))
PLAN = PartitionPlan(ROUTES, (0, 1))


def test_no_part_goes_beyond_an_epoch_or_what_is_ordered_together() -> None:
    first, second = epochs((Phase(PLAN, 9, GPIPE, together=2),), COST, epoch=5)
    assert [(part.batches, times) for part, times in first] == [(2, 2), (1, 1)]
    assert [(part.batches, times) for part, times in second] == [(2, 2)]
    assert {part.policy for part, _ in first} == {GPIPE}
    assert {part.plan for part, _ in first} == {PLAN}


def test_a_replay_costs_what_is_left() -> None:
    record = Phase(PLAN, 4, source=Source.RECORD)
    replay = Phase(PLAN, 8, source=Source.REPLAY)
    first, *later = epochs((record, replay), COST, epoch=4)
    assert [part.cost for part, _ in first] == [COST]
    assert later == [((replace(first[0][0], cost=COST.replaying()), 1),)] * 2


def test_a_prefix_that_is_kept_leaves_the_cost_of_the_others() -> None:
    replay = Phase(PLAN, 2, source=Source.REPLAY, entrances=(1,))
    ((part, _),) = epochs((replay,), COST, epoch=2)[0]
    assert part.cost == COST


def test_a_cycle_goes_on_where_the_part_before_has_ended() -> None:
    plan = replace(PLAN, assignment=(0, 1, 1), cycle=3)
    (first, second) = epochs((Phase(plan, 4),), COST, epoch=2)
    taken = [[part.plan.route(0)[0].rank for part, _ in each] for each in (first, second)]
    assert taken == [[0], [1]]
    assert first[0][0].plan == plan.excerpt(range(2))
    assert second[0][0].plan == plan.excerpt(range(2, 4))


def test_phases_that_say_where_they_end_share_the_run() -> None:
    low, high = Phase(PLAN, 6, until=6, level=0), Phase(PLAN, 4, until=10, level=1)
    counted = epochs((low, high), COST, epoch=10)
    assert [(part.batches, times) for part, times in counted[0]] == [(6, 1), (4, 1)]
