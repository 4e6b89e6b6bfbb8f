"""A split as data: what devices run, what the server trains, and what does not fit."""

from dataclasses import replace
from typing import Any

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import Stage
from mpiedge.strategy.cuts import Share, device_bytes, planned_cuts
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.split import shares, split
from mpiedge.strategy.strategy import Phase, Source, Work, layers_of

MIB = 2**20


def cost(*devices: Device, blocks: int = 6, bandwidth: float = 1e9) -> CostModel:
    """Equal blocks that take a second each way."""
    layer = LayerProfile(
        forward=1.0,
        backward=1.0,
        weights=MIB,
        tuned=MIB // 64,
        activation=MIB // 8,
        boundary=MIB // 64,
    )
    return CostModel((layer,) * (blocks + 2), devices, Link(bandwidth, 0.0))


def work(ranks: int = 4, still: int = 4, **changes: Any) -> Work:
    known = Work(
        cost(*(Device(1.0, 2**30),) * ranks),
        frozenset(range(still, 8)),
        micro_batches=2,
        batches=30,
        epoch=10,
        examples=(16,) * 3,
        still=still,
    )
    return replace(known, **changes)


def phases(made: Work, **changes: Any) -> tuple[Phase, ...]:
    return split(StrategySettings(name="split", **changes), made)


def test_devices_hold_frozen_blocks_up_to_their_cut_and_nothing_else() -> None:
    (phase,) = phases(work(), cuts=[1, 3, 2], replay=False)
    assert phase.feeders == tuple(Stage(rank, range(n)) for rank, n in ((1, 2), (2, 4), (3, 3)))
    assert [layers_of(phase, rank) for rank in (1, 2, 3)] == [(0, 1), (0, 1, 2, 3), (0, 1, 2)]
    assert layers_of(phase, 0) == tuple(range(8))
    assert not any(stage.trainable for stage in phase.feeders)


def test_the_server_trains_what_is_above_the_deepest_cut() -> None:
    (phase,) = phases(work(), cuts=[1], replay=False)
    (route,) = phase.plan.routes
    assert route == (Stage(0, range(4, 8), frozenset(range(4, 8))),)
    assert phase.plan.still == 4
    assert phase.evaluated.routes == ((Stage(0, range(8)),),)
    assert phase.batches == 30


def test_with_a_replay_the_first_epoch_is_recorded() -> None:
    first, rest = phases(work(), cuts=[1])
    assert (first.source, first.batches, first.entrances) == (Source.RECORD, 10, (4,))
    assert (rest.source, rest.batches) == (Source.REPLAY, 20)
    (once,) = phases(work(batches=10), cuts=[1])
    assert once.source is Source.COMPUTE


def test_several_servers_share_what_is_trained() -> None:
    made = replace(work(5), examples=(10,) * 3)
    (phase,) = phases(made, cuts=[2], servers=2, replay=False)
    (route,) = phase.plan.routes
    assert [stage.rank for stage in route] == [0, 1]
    assert [*route[0].layers, *route[1].layers] == [4, 5, 6, 7]
    assert [stage.rank for stage in phase.feeders] == [2, 3, 4]
    (whole,) = phase.evaluated.routes
    assert whole[0].layers.start == 0
    with pytest.raises(BadInput, match=r"strategy.servers 5 is more than the 4 layers above"):
        phases(made, cuts=[2], servers=5)


def test_one_rank_stands_in_for_all_clients() -> None:
    alone = work(1)
    assert shares(StrategySettings(name="split"), alone) == (Share(0, 48, (0, 1, 2)),)
    (phase,) = phases(alone, cuts=[1, 3, 2], replay=False)
    assert phase.feeders == (Stage(0, range(4)),)


def test_as_many_cuts_as_clients() -> None:
    with pytest.raises(BadInput, match=r"strategy.cuts \[1, 2\] names 2 cuts for 3 clients"):
        phases(work(), cuts=[1, 2])


def planned(devices: list[Device], examples: int = 1, **more: Any) -> list[int]:
    model = cost(Device(1.0, 2**30), *devices, **more)
    each = [Share(rank, examples, (rank - 1,)) for rank in range(1, len(devices) + 1)]
    found = planned_cuts(model, each, 4, frozenset(range(5, 8)))
    return [found[share.rank] for share in each]


def test_a_planned_cut_is_as_deep_as_memory_allows() -> None:
    room = [device_bytes(cost(Device(1.0, 0)), 0, cut) for cut in (1, 3)]
    devices = [Device(1.0, room[0]), Device(1.0, room[1]), Device(1.0, 2**30)]
    assert planned(devices) == [1, 3, 4]


def test_a_planned_cut_hides_behind_the_server() -> None:
    # The server takes 6 s a micro-batch and three devices feed it: each has 18 s for its own.
    assert planned([Device(speed, 2**30) for speed in (1.0, 0.2, 0.05)]) == [4, 2, 1]


def test_where_the_uplink_is_slower_than_the_server_the_cut_is_the_smallest() -> None:
    assert planned([Device(1.0, 2**30)], bandwidth=1e3) == [1]


def test_a_device_without_room_for_one_block() -> None:
    small = cost(Device(1.0, 2**30), Device(1.0, 2 * MIB), Device(1.0, 2**30))
    with pytest.raises(BadInput, match=r"rank 1 has 2 MiB free and needs 2 MiB for the embedding"):
        phases(work(3, cost=small, examples=(8, 8)))
    with pytest.raises(BadInput, match=r"the embedding and 3 blocks; lower its cut"):
        phases(work(3, cost=small, examples=(8, 8)), cuts=[3, 1])


def test_what_waits_at_the_server_has_to_fit() -> None:
    made = work(cost=cost(Device(1.0, 12 * MIB), *(Device(1.0, 2**30),) * 3))
    assert phases(made, cuts=[1])
    with pytest.raises(BadInput, match=r"for 303 micro-batches that wait to be shuffled"):
        phases(made, cuts=[1], credits=100)
    with pytest.raises(BadInput, match=r"for 2000 micro-batches that wait to be shuffled"):
        phases(replace(made, micro_batches=1000), cuts=[1], aggregation="gather")
