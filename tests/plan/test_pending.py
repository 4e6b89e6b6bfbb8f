"""Which update is due by which backward pass."""

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.pending import Pending

BOTH = frozenset({0, 1})


def _replicas(joint: bool) -> PartitionPlan:
    routes = tuple((Stage(rank, range(2), frozenset({1})),) for rank in (0, 1))
    return PartitionPlan(routes, (0, 1, 0), joint)


def test_ranks_that_tune_a_layer_together_update_by_the_last_pass_of_any() -> None:
    pending = Pending(_replicas(joint=False))
    assert pending.passed(0, batch=0) == frozenset()
    assert pending.passed(1, batch=0) == frozenset()
    assert pending.passed(1, batch=1) == frozenset()
    assert pending.passed(0, batch=0) == BOTH


def test_ranks_that_share_nothing_update_alone_unless_all_do_together() -> None:
    low, top = Stage(0, range(1), frozenset({0})), Stage(1, range(1, 2), frozenset({1}))
    apart, joint = (Pending(PartitionPlan(((low, top),), (0,), each)) for each in (False, True))
    assert [apart.passed(rank, 0) for rank in (1, 0)] == [{1}, {0}]
    assert [joint.passed(rank, 0) for rank in (1, 0)] == [frozenset(), BOTH]


def test_a_rank_that_only_hands_gradients_on_updates_nothing() -> None:
    stages = (Stage(0, range(1), frozenset({0})), Stage(1, range(1, 2)))
    pending = Pending(PartitionPlan((stages,), (0,)))
    assert pending.passed(1, 0) == frozenset()
    assert pending.passed(0, 0) == {0}


def test_batches_of_a_cycle_have_updates_of_their_own() -> None:
    routes = tuple((Stage(rank, range(2), frozenset({1})),) for rank in (0, 1))
    pending = Pending(PartitionPlan(routes, (0, 1), cycle=2))
    assert [pending.passed(rank, rank) for rank in (0, 1)] == [{0}, {1}]
    assert pending.passed(0, 2) == {0}
