"""Phases of PAC: what is recorded where, and what is replayed where it was recorded."""

import random
from dataclasses import replace
from itertools import permutations

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.grouping import Problem
from mpiedge.plan.hybrid import group
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.schedule import simulate
from mpiedge.plan.timeline import Pass
from mpiedge.strategy.pac import pac
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Source, Work

LINK = Link(bandwidth=1e8, latency=1e-4)
PLENTY = 10**9
PUBLISHED = StrategySettings(name="pac", record="first-epoch")


def _work(ranks: int, micro_batches: int = 8, layers: int = 8, **more: object) -> Work:
    profile = LayerProfile(1.0, 0.2, 10, 1, 1, 8, 2, frozen_forward=0.9, frozen_weights=9)
    cost = CostModel((profile,) * layers, (Device(1.0, PLENTY),) * ranks, LINK)
    work = Work(cost, frozenset(range(layers)), micro_batches, batches=9, epoch=3)
    return replace(work, **more)  # type: ignore[arg-type]


def _random_work(chance: random.Random) -> Work:
    layers = tuple(
        LayerProfile(
            forward := chance.choice([0.2, 1.0, 4.0]),
            chance.choice([0.1, 0.5]),
            chance.randint(5, 20),
            1,
            chance.randint(0, 3),
            chance.choice([10**3, 10**7]),
            gradient=10**3,
            frozen_forward=0.9 * forward,
            frozen_weights=4,
        )
        for _ in range(chance.randint(3, 10))
    )
    ranks = chance.randint(1, 8)
    least = sum(layer.weights for layer in layers) + 30 * len(layers)
    devices = tuple(
        Device(chance.choice([0.5, 1.0, 1.0, 2.0]), chance.randint(least, 3 * least))
        for _ in range(ranks)
    )
    return Work(
        CostModel(layers, devices, LINK),
        frozenset(range(len(layers))),
        micro_batches=chance.randint(ranks, 20),
        batches=chance.randint(4, 9),
        joint_update=chance.random() < 0.5,
        epoch=3,
        bridge=chance.choice([None, len(layers) // 2]),
    )


def _random_layout(chance: random.Random, work: Work) -> StrategySettings:
    """Planned, or any stages over ranks in any order."""
    if chance.random() < 0.4:
        return PUBLISHED
    ranks, layers = [*work.ranks], len(work.layers)
    chance.shuffle(ranks)
    stages = chance.randint(1, min(len(ranks), layers))
    cuts = sorted(chance.sample(range(1, len(ranks)), stages - 1))
    ends = [0, *cuts, len(ranks)]
    groups = [ranks[a:b] for a, b in zip(ends, ends[1:], strict=False)]
    shares = [chance.choice([0.2, 1.0, 3.0]) for _ in ranks] if chance.random() < 0.3 else []
    return StrategySettings(
        name="pac", groups=[",".join(map(str, group)) for group in groups], shares=shares
    )


def _recorded_by(plan: PartitionPlan, micro_batch: int) -> dict[int, int]:
    """Which rank computes each layer of a micro-batch."""
    return {i: stage.rank for stage in plan.route(micro_batch) for i in stage.layers}


@pytest.mark.parametrize("seed", range(60))
def test_every_layer_is_recorded_once_every_rank_works_and_nothing_stalls(seed: int) -> None:
    chance = random.Random(seed)
    work = _random_work(chance)
    record, replay = pac(_random_layout(chance, work), work)
    assert (record.source, replay.source) == (Source.RECORD, Source.REPLAY)
    assert (record.batches, replay.batches) == (3, work.batches - 3)
    for plan in (record.plan, replay.plan):
        assert len(plan.micro_batches) == work.micro_batches
        assert plan.ranks == tuple(work.ranks)
        assert set(plan.trainers) == set(work.trainable)
        assert plan.joint_update == work.joint_update
        for m in plan.micro_batches:
            layers = [i for stage in plan.route(m) for i in stage.layers]
            assert layers == list(work.layers)
        _runs_through(plan, work, chance)
    assert all(len(plan_route) == 1 for plan_route in replay.plan.routes)
    assert [route[0].rank for route in replay.plan.routes] == list(work.ranks)


def _runs_through(plan: PartitionPlan, work: Work, chance: random.Random) -> None:
    layers = tuple(
        replace(layer, forward=chance.random(), backward=chance.random())
        for layer in work.cost.layers
    )
    timeline = simulate(plan, replace(work.cost, layers=layers), batches=2)
    actions = [action for each in timeline.schedule.values() for action in each]
    passes = sum(len(plan.route(m)) for m in plan.micro_batches)
    assert sum(action.which is Pass.FORWARD for action in actions) == 2 * passes
    assert sum(action.which is Pass.BACKWARD for action in actions) == 2 * passes
    assert sum(action.which is Pass.UPDATE for action in actions) == 2 * len(plan.ranks)


def _kept(record: Phase, owners: tuple[int, ...]) -> int:
    """Recorded layers, the head's not counted, that are where they are replayed."""
    return sum(
        rank == owners[m]
        for m in record.plan.micro_batches
        for layer, rank in _recorded_by(record.plan, m).items()
        if layer < max(_recorded_by(record.plan, m))
    )


@pytest.mark.parametrize("seed", range(200, 230))
def test_no_other_division_keeps_more_where_it_was_recorded(seed: int) -> None:
    chance = random.Random(seed)
    work = replace(_random_work(chance), micro_batches=6)
    work = replace(work, cost=replace(work.cost, devices=work.cost.devices[:3]))
    record, replay = pac(_random_layout(chance, work), work)
    owners = replay.plan.assignment
    others = set(permutations(owners))
    assert _kept(record, owners) == max(_kept(record, other) for other in others)


def test_the_picture_in_the_docstring() -> None:
    settings = StrategySettings(name="pac", groups=["0,1", "2"], layers=[4, 4])
    record, replay = pac(settings, _work(3, micro_batches=4))
    paths = [[stage.rank for stage in record.plan.route(m)] for m in range(4)]
    assert paths == [[0, 2], [1, 2], [0, 2], [1, 2]]
    assert replay.plan.assignment == (0, 1, 0, 2)


def test_replicas_alone_keep_all_they_recorded() -> None:
    record, replay = pac(StrategySettings(name="pac", groups=["1,0"]), _work(2))
    assert _kept(record, replay.plan.assignment) == 8 * 7


def test_what_a_rank_replays_is_spread_over_the_batch() -> None:
    # Neighbouring micro-batches hold examples of like length: no rank gets only long ones.
    settings = StrategySettings(name="pac", groups=["0", "1"], layers=[4, 4])
    _, replay = pac(settings, _work(2, micro_batches=8))
    assert replay.plan.assignment == (0, 1, 0, 1, 0, 1, 0, 1)


def test_one_rank_records_and_replays() -> None:
    record, replay = pac(StrategySettings(name="pac"), _work(1, micro_batches=2))
    assert record.plan.assignment == replay.plan.assignment == (0, 0)
    assert [len(route) for route in record.plan.routes] == [1]


def test_faster_ranks_take_more() -> None:
    work = _work(2, micro_batches=9)
    devices = (Device(1.0, PLENTY), Device(2.0, PLENTY))
    work = replace(work, cost=replace(work.cost, devices=devices))
    record, replay = pac(StrategySettings(name="pac", groups=["0,1"]), work)
    assert sorted(replay.plan.assignment) == [0] * 3 + [1] * 6
    counted = [stage.rank for m in range(9) for stage in record.plan.route(m)]
    assert (counted.count(0), counted.count(1)) == (3, 6)


def test_shares_that_are_given_are_kept_to() -> None:
    settings = StrategySettings(name="pac", groups=["0,1"], shares=[3.0, 1.0])
    for phase in pac(settings, _work(2)):
        ranks = [phase.plan.route(m)[0].rank for m in range(8)]
        assert (ranks.count(0), ranks.count(1)) == (6, 2)


@pytest.mark.parametrize("changes", [{"batches": 3}, {"batches": 2}, {"epoch": 0}])
def test_a_run_of_one_epoch_records_nothing(changes: dict[str, int]) -> None:
    (phase,) = pac(StrategySettings(name="pac"), _work(2, **changes))
    assert phase.source is Source.COMPUTE
    assert phase.batches == changes.get("batches", 9)


def test_a_run_of_one_epoch_records_what_is_wanted_after_it() -> None:
    (phase,) = pac(StrategySettings(name="pac"), _work(2, batches=3, keep=True))
    assert (phase.source, phase.batches) == (Source.RECORD, 3)


def test_one_epoch_may_have_fewer_micro_batches_than_ranks() -> None:
    settings = StrategySettings(name="pac", groups=["0,1", "2"])
    (phase,) = pac(settings, _work(3, micro_batches=2, batches=3))
    assert phase.plan.ranks == (0, 1, 2)
    with pytest.raises(BadInput, match="2 micro-batches, fewer than the 3 ranks"):
        pac(settings, _work(3, micro_batches=2))


def test_what_is_recorded_already_is_only_replayed() -> None:
    record, replay = pac(StrategySettings(name="pac"), _work(2, recorded=True))
    assert (record.source, record.batches) == (Source.RECORD, 0)
    assert (replay.source, replay.batches) == (Source.REPLAY, 9)
    alone = pac(StrategySettings(name="pac"), _work(2, recorded=True, batches=1))
    assert [phase.batches for phase in alone] == [0, 1]


def test_stacks_are_kept_apart_when_asked() -> None:
    work = _work(2, layers=9, bridge=6)
    settings = StrategySettings(name="pac", groups=["0", "1"], mixed=False)
    record, _ = pac(settings, work)
    assert [stage.layers for stage in record.plan.routes[0]] == [range(6), range(6, 9)]
    free, _ = pac(replace(settings, mixed=True), work)
    assert [len(stage.layers) for stage in free.plan.routes[0]] != [6, 3]
    with pytest.raises(Infeasible, match="strategy.mixed = false keeps .* 1 ranks"):
        pac(StrategySettings(name="pac", mixed=False), _work(1, layers=9, bridge=6))


def test_a_model_that_fits_no_rank_whole_is_cut() -> None:
    work = _work(4, micro_batches=4)
    devices = tuple(Device(1.0, 70) for _ in range(4))  # 80 bytes of weights
    record, _ = pac(
        StrategySettings(name="pac"), replace(work, cost=replace(work.cost, devices=devices))
    )
    assert all(len(route) > 1 for route in record.plan.routes)


def test_the_grouping_that_is_fastest_when_played_is_taken() -> None:
    # With little memory the slowest stage need not be the last, as the equations take it to be.
    layer = LayerProfile(0.75, 0.04, 28, 1, 5, 10**6, 10**5, frozen_forward=0.7, frozen_weights=27)
    cost = CostModel((layer,) * 14, (Device(1.0, 260),) * 8, LINK)
    work = Work(cost, frozenset(range(14)), 32, batches=9, epoch=3)
    record, _ = pac(StrategySettings(name="pac"), work)
    sizes = [(32, 1), (16, 2), (8, 4), (4, 8), (2, 16)]
    equations = group(Problem(cost, work.trainable, 32, 1, together=False), sizes)
    asked = [",".join(map(str, each.ranks)) for each in equations.groups]
    layers = [len(each.layers) for each in equations.groups]
    other, _ = pac(StrategySettings(name="pac", groups=asked, layers=layers), work)
    assert simulate(record.plan, cost).makespan < 0.9 * simulate(other.plan, cost).makespan


def test_a_side_network_that_does_not_fit_is_infeasible() -> None:
    work = _work(2)
    heavy = replace(work.cost.layers[0], frozen_weights=0)
    cost = replace(work.cost, layers=(heavy,) * 8, devices=(Device(1.0, 70),) * 2)
    with pytest.raises(Infeasible, match="the side network with its head needs"):
        pac(PUBLISHED, replace(work, cost=cost))


def test_eight_unequal_ranks_are_planned_in_seconds() -> None:
    chance = random.Random(4)
    work = _work(8, micro_batches=32, layers=50)
    devices = tuple(Device(chance.random() + 0.3, PLENTY) for _ in range(8))
    record, _ = pac(
        StrategySettings(name="pac"), replace(work, cost=replace(work.cost, devices=devices))
    )
    assert record.plan.ranks == tuple(range(8))


def test_layers_that_train_nothing_go_ahead_on_a_slow_device() -> None:
    profile = LayerProfile(1.0, 0.3, 10, 1, 1, 1, 1, frozen_forward=0.9, frozen_weights=9)
    devices = (Device(2.0, PLENTY), Device(0.5, PLENTY))
    cost = CostModel((profile,) * 7, devices, Link(bandwidth=10.0, latency=0.0))
    trained = frozenset(range(1, 7))
    plan = pac(StrategySettings(name="pac"), Work(cost, trained, 4, batches=9, epoch=3))[0].plan
    assert [(stage.rank, stage.layers) for stage in plan.route(0)] == [
        (1, range(1)),
        (0, range(1, 7)),
    ]
    assert {plan.route(number) for number in range(4)} == {plan.route(0)}
