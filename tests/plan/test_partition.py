import pytest

from mpiedge.plan.partition import PartitionPlan, Stage, from_json, to_json


def _cut(*sizes: int, lowest: int = 0) -> tuple[Stage, ...]:
    stages, start = [], 0
    for rank, size in enumerate(sizes):
        layers = range(start, start + size)
        stages.append(Stage(rank, layers, frozenset(i for i in layers if i >= lowest)))
        start += size
    return tuple(stages)


def test_one_route_has_one_trainer_a_layer() -> None:
    plan = PartitionPlan((_cut(2, 3, 1),), (0, 0))
    assert plan.trainers == {0: (0,), 1: (0,), 2: (1,), 3: (1,), 4: (1,), 5: (2,)}
    assert plan.partners == {0: {0}, 1: {1}, 2: {2}}
    assert plan.layers_of(1) == (2, 3, 4)
    assert plan.starts == {0}


def test_backward_ends_at_the_lowest_stage_with_something_to_train() -> None:
    plan = PartitionPlan((_cut(2, 2, 2, lowest=3),), (0, 0, 0))
    assert plan.lowest_trainable(0) == 1
    assert plan.backward_passes == {1: 3, 2: 3}
    assert not plan.updates(plan.routes[0][0])
    assert plan.updates(plan.routes[0][1])


def test_replicas_of_a_layer_update_together() -> None:
    whole = [Stage(rank, range(4), frozenset({1, 2})) for rank in (0, 1, 2)]
    plan = PartitionPlan(tuple((stage,) for stage in whole), (0, 1, 2, 0))
    assert plan.trainers == {1: (0, 1, 2), 2: (0, 1, 2)}
    assert plan.partners[1] == {0, 1, 2}
    assert plan.backward_passes == {0: 2, 1: 1, 2: 1}


def test_ranks_that_share_through_a_third_update_together() -> None:
    routes = (
        (Stage(0, range(2), frozenset({1})), Stage(2, range(2, 4), frozenset({3}))),
        (Stage(1, range(2), frozenset({1})), Stage(2, range(2, 4), frozenset({3}))),
        (Stage(3, range(2)), Stage(1, range(2, 4), frozenset({3}))),
    )
    plan = PartitionPlan(routes, (0, 1, 2))
    assert plan.partners == {0: {0, 1, 2}, 1: {0, 1, 2}, 2: {0, 1, 2}}
    assert 3 not in plan.partners


def test_a_joint_update_joins_every_trainer() -> None:
    plan = PartitionPlan((_cut(2, 2, 2, lowest=2),), (0,), joint_update=True)
    assert plan.partners == {1: {1, 2}, 2: {1, 2}}


def test_evaluation_trains_nothing() -> None:
    plan = PartitionPlan((_cut(2, 2),), (0, 0), joint_update=True).frozen()
    assert plan.trainers == {}
    assert plan.lowest_trainable(1) is None
    assert plan.partners == {}


def test_a_plan_survives_json() -> None:
    plan = PartitionPlan((_cut(1, 4, lowest=2), _cut(3, 2)), (1, 0, 1), joint_update=True)
    assert from_json(to_json(plan)) == plan


def test_micro_batches_are_counted_on_over_batches() -> None:
    plan = PartitionPlan((_cut(5), _cut(2, 3)), (0, 1, 1))
    assert [len(plan.route(m)) for m in range(6)] == [1, 2, 2, 1, 2, 2]


def test_a_gap_between_stages_is_refused() -> None:
    route = (Stage(0, range(2)), Stage(1, range(3, 5)))
    with pytest.raises(ValueError, match=r"starts at layer 3, .* ends at layer 2"):
        PartitionPlan((route,), (0,))


def test_a_route_without_a_micro_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="every route needs a micro-batch"):
        PartitionPlan((_cut(3), _cut(3)), (0, 0))
