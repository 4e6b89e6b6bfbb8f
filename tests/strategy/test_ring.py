"""The ring as data: who has what, which blocks are trained when, and what crosses a link."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.schedule import simulate
from mpiedge.plan.timeline import Pass
from mpiedge.strategy.ring import blocks_of, ring
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Source, Work

MIB = 2**20


def work(ranks: int = 3, blocks: int = 6, **changes: Any) -> Work:
    """A model of equal blocks, with as many clients as ranks, two batches of each an epoch."""
    layer = LayerProfile(
        forward=1.0,
        backward=1.0,
        weights=MIB,
        tuned=MIB // 64,
        activation=MIB // 8,
        boundary=MIB // 64,
    )
    cost = CostModel((layer,) * (blocks + 2), (Device(1.0, 2**30),) * ranks, Link(1e9, 0.0))
    known = Work(
        cost,
        frozenset(range(1, blocks + 2)),
        micro_batches=1,
        batches=24,
        epoch=2 * ranks,
        clients=(2,) * ranks,
    )
    return replace(known, **changes)


def phases(made: Work, **changes: Any) -> tuple[Phase, ...]:
    return ring(StrategySettings(name="ring", **changes), made)


def test_a_route_begins_and_ends_at_its_client() -> None:
    (phase,) = phases(work(), interval=0)
    assert len(phase.plan.routes) == 3
    for initiator, route in enumerate(phase.plan.routes):
        assert [stage.rank for stage in route] == [initiator, 0, 1, 2, initiator]
        assert [len(stage.layers) for stage in route] == [1, 2, 2, 2, 1]
    assert [phase.plan.route(k)[0].rank for k in range(6)] == [0, 1, 2, 0, 1, 2]


def test_only_the_unfrozen_blocks_and_the_head_are_trained() -> None:
    for phase, depth in zip(phases(work(), interval=4, step=2), (1, 3, 5, 6), strict=True):
        assert set(phase.plan.trainers) == {*range(7 - depth, 7), 7}
        assert phase.plan.still == 7 - depth
        for k in range(3):
            assert phase.plan.batch(k).trainers[7] == (k,)


def test_backward_ends_at_the_lowest_unfrozen_block() -> None:
    for depth, lowest in ((1, 3), (2, 3), (3, 2), (6, 1)):
        (phase,) = phases(work(), depth=depth, step=0, layers=[2, 2, 2])
        actions = [span.action for span in simulate(phase.plan, batches=6).spans]
        backward = Counter(a.stage for a in actions if a.which is Pass.BACKWARD)
        assert backward == dict.fromkeys(range(lowest, 5), 6)


def test_the_head_travels_with_the_turn_and_nothing_else_does() -> None:
    (phase,) = phases(work(), interval=0)
    travels = [phase.plan.travels(k) for k in range(3)]
    assert [(t.source, t.dest, t.layers) for (t,) in travels] == [
        (0, 1, (7,)),
        (1, 2, (7,)),
        (2, 0, (7,)),
    ]
    (long,) = phases(work(), interval=0, turn="epoch")
    assert [len(long.plan.travels(k)) for k in range(6)] == [0, 1, 0, 1, 0, 1]


def test_who_trains_in_no_batch_together_updates_apart() -> None:
    (phase,) = phases(work(joint_update=True), interval=0)
    for k in range(3):
        # The host of the one unfrozen block, and whoever has the turn.
        assert phase.plan.batch(k).partners[k] == {k, 2}
        assert set(phase.plan.batch(k).partners) == {k, 2}


def test_frozen_stages_run_ahead_over_batches_of_other_clients() -> None:
    (top,) = phases(work(4, 8), depth=1, step=0)
    (flushed,) = phases(work(4, 8), depth=1, step=0, run_ahead=False)
    cost = work(4, 8).cost
    together = simulate(top.plan, cost, top.policy, batches=8).makespan
    apart = simulate(flushed.plan, cost, flushed.policy, batches=1).makespan
    assert flushed.together == 1
    assert together < 0.6 * 8 * apart


def test_an_unfrozen_stage_waits_for_the_update_before() -> None:
    (phase,) = phases(work(micro_batches=2), depth=3, step=0)
    spans = simulate(phase.plan, work().cost, phase.policy, batches=6).spans
    ended = {(s.rank, s.action.number): s.end for s in spans if s.action.which is Pass.UPDATE}
    for span in (s for s in spans if s.action.which is Pass.FORWARD):
        batch = span.action.number // 2
        stage = phase.plan.route(span.action.number)[span.action.stage]
        if batch and stage.trainable:
            trainer = phase.plan.batch(batch - 1).trainers[min(stage.trainable)][0]
            assert span.start >= ended[trainer, batch - 1]


def test_no_stage_holds_more_than_its_bound() -> None:
    (phase,) = phases(work(4, 8, micro_batches=4), depth=1, step=0, in_flight=2)
    held: Counter[tuple[int, int]] = Counter()
    for span in simulate(phase.plan, policy=phase.policy, batches=8).spans:
        action = span.action
        if action.which is Pass.FORWARD:
            held[span.rank, action.stage] += 1
            if action.stage:
                below = phase.plan.route(action.number)[action.stage - 1]
                held[below.rank, action.stage - 1] -= below.layers.stop <= phase.plan.still
        elif action.which is Pass.BACKWARD:
            held[span.rank, action.stage] -= 1
        assert max(held.values()) <= 2


def test_what_is_in_flight_is_bounded_by_memory() -> None:
    made = work()
    (free,) = phases(made, depth=6, step=0)
    small = tuple(Device(1.0, 5 * MIB) for _ in range(3))
    (tight,) = phases(replace(made, cost=replace(made.cost, devices=small)), depth=6, step=0)
    assert (free.policy.most, tight.policy.most) == (5, 2)


def test_with_the_prefix_cache_the_first_epoch_records_what_the_others_need() -> None:
    found = phases(work(), depths=[1, 2, 4], interval=5, prefix_cache=True, layers=[2, 2, 2])
    assert [(p.source, p.until, p.entrances) for p in found] == [
        (Source.RECORD, 5, (3, 5)),
        (Source.RECORD, 6, (3, 5)),
        (Source.REPLAY, 10, (5,)),
        (Source.REPLAY, 24, (3,)),
    ]
    assert [route[0].layers.start for route in found[-1].plan.routes] == [3, 3, 3]
    assert [route[0].rank for route in found[-1].plan.routes] == [1, 1, 1]
    assert found[-1].evaluated.route(0)[0].layers == range(1)


def test_a_plateau_leads_to_the_next_level() -> None:
    found = phases(work(), unfreeze="plateau", depths=[1, 3, 6], patience=4)
    assert [(p.level, p.until, p.watch is None) for p in found] == [
        (0, 24, False),
        (1, 24, False),
        (2, 24, True),
    ]
    watch = found[0].watch
    assert watch is not None
    assert not watch.plateau([1.0] * 7)
    assert watch.plateau([1.0] * 8)
    assert not watch.plateau([2.0] * 4 + [1.0] * 4)


def test_a_decoders_embedding_is_the_initiators_too() -> None:
    made = work(2, 5, bridge=3)
    assert blocks_of(made) == (1, 2, 4, 5)
    (phase,) = phases(made, interval=0)
    rows = [[(s.rank, s.layers.start, s.layers.stop) for s in r] for r in phase.plan.routes]
    assert rows == [
        [(0, 0, 1), (0, 1, 3), (0, 3, 4), (1, 4, 6), (0, 6, 7)],
        [(1, 0, 1), (0, 1, 3), (1, 3, 4), (1, 4, 6), (1, 6, 7)],
    ]


def test_one_rank_stands_in_for_all_clients() -> None:
    (phase,) = phases(work(1, clients=(2, 3, 1), epoch=6), interval=0)
    assert phase.plan.cycle == 1
    assert [stage.rank for stage in phase.plan.route(0)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": 7}, "strategy.depth 7 unfreezes more blocks than the model's 6"),
        ({"depths": [1, 9]}, "unfreezes 9 blocks and the model has 6"),
        ({"depths": [2, 1]}, "never to fall"),
        ({"depths": [1, 2], "interval": 0}, "strategy.interval is 0"),
        ({"order": [0, 1, 1]}, "exactly once"),
        ({"layers": [2, 2, 1]}, "names 5 blocks for 3 ranks"),
    ],
)
def test_a_schedule_or_layout_that_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        phases(work(), **changes)


def test_more_ranks_than_blocks_are_refused() -> None:
    with pytest.raises(BadInput, match="4 ranks are more than the model's 3 blocks"):
        phases(work(4, 3))


def test_the_ring_order_may_be_given() -> None:
    (phase,) = phases(work(), interval=0, order=[2, 0, 1], layers=[1, 2, 3])
    stages = phase.plan.routes[0][1:-1]
    assert [(s.rank, len(s.layers)) for s in stages] == [(2, 1), (0, 2), (1, 3)]
