import pytest

from mpiedge.plan.partition import PartitionPlan, Stage, Travel, from_json, to_json


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


@pytest.mark.parametrize(("layer", "left"), [(4, [2, 2]), (3, [2, 1]), (2, [2]), (1, [1])], ids=str)
def test_routes_that_end_below_a_layer_train_nothing(layer: int, left: list[int]) -> None:
    plan = PartitionPlan((_cut(2, 2),), (0, 0), joint_update=True).below(layer)
    assert [len(stage.layers) for stage in plan.routes[0]] == left
    assert plan.trainers == {}
    assert plan.assignment == (0, 0)


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


def _cycle() -> PartitionPlan:
    """Two batches of two micro-batches: the top layer is trained on rank 1, then on rank 0."""
    low = Stage(0, range(2), frozenset({1}))
    routes = (
        (low, Stage(1, range(2, 4), frozenset({3}))),
        (low, Stage(0, range(2, 4), frozenset({3}))),
    )
    return PartitionPlan(routes, (0, 0, 1, 1), cycle=2)


def test_a_cycle_gives_each_batch_its_part() -> None:
    plan = _cycle()
    assert plan.micro_batches == range(2)
    assert [plan.route(m)[1].rank for m in range(8)] == [1, 1, 0, 0, 1, 1, 0, 0]
    assert plan.trainers[3] == (0, 1)
    assert [plan.batch(k).trainers[3] for k in range(4)] == [(1,), (0,), (1,), (0,)]
    assert plan.batch(1).routes == (plan.routes[1],)
    assert from_json(to_json(plan)) == plan


def test_weights_travel_to_where_the_next_batch_needs_them() -> None:
    plan = _cycle()
    assert plan.travels(0) == (Travel(1, 0, (3,)),)
    assert plan.travels(1) == (Travel(0, 1, (3,)),)
    assert plan.batch(0).travels(0) == ()


def test_an_excerpt_is_counted_from_its_first_batch() -> None:
    plan = _cycle()
    part = plan.excerpt(range(1, 4))
    assert part.cycle == 3
    assert [part.route(m)[1].rank for m in range(6)] == [0, 0, 1, 1, 0, 0]
    assert part.excerpt(range(1)).routes == (plan.routes[1],)


def test_a_cycle_of_uneven_batches_is_refused() -> None:
    with pytest.raises(ValueError, match="3 micro-batches cannot make up a cycle of 2"):
        PartitionPlan((_cut(3),), (0, 0, 0), cycle=2)


def test_a_layer_trained_now_and_then_is_refused() -> None:
    routes = (_cut(2, 2), _cut(2, 2, lowest=3))
    with pytest.raises(ValueError, match="trained in every batch of a cycle, or in none"):
        PartitionPlan(routes, (0, 1), cycle=2)


def test_a_route_may_start_behind_layers_whose_output_is_kept() -> None:
    plan = PartitionPlan(((Stage(0, range(2, 4)), Stage(1, range(4, 5))),), (0,))
    assert plan.layers_of(0) == (2, 3)
