"""Recording before the first update: when it is planned, and what the plan promises."""

import random
from dataclasses import replace

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.beforehand import beforehand, recorded
from mpiedge.strategy.pac import pac
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Source, Work

FAST, SLOW = Link(bandwidth=1e9, latency=1e-5), Link(bandwidth=1e3, latency=1e-3)
LAYER = LayerProfile(
    forward=1.0,
    backward=0.05,
    weights=10_000,
    tuned=1_000,
    activation=50,
    boundary=100,
    gradient=10,
    frozen_forward=0.9,
    frozen_weights=9_000,
)


def _work(link: Link, ranks: int = 4, memory: int = 10**9, measured: bool = True) -> Work:
    links = ((link,) * ranks,) * ranks if measured else ()
    cost = CostModel((LAYER,) * 8, (Device(1.0, memory),) * ranks, link, links=links)
    return Work(cost, frozenset(range(8)), micro_batches=8, batches=9, epoch=3)


def _given(**more: object) -> StrategySettings:
    return StrategySettings(name="pac", **more)  # type: ignore[arg-type]


def _is_before(phases: tuple[Phase, ...]) -> bool:
    return phases[0].beforehand > 0


def test_the_phases_are_one_plan_that_records_an_epoch_and_replays_all() -> None:
    recording, replaying = pac(_given(record="before"), _work(FAST))
    assert (recording.source, recording.batches, recording.beforehand) == (Source.RECORD, 0, 3)
    assert (replaying.source, replaying.batches) == (Source.REPLAY, 9)
    assert recording.plan == replaying.plan
    for micro_batch in replaying.plan.micro_batches:
        route = replaying.plan.route(micro_batch)
        assert [i for stage in route for i in stage.layers] == list(range(8))


@pytest.mark.parametrize(
    ("link", "measured", "before"),
    [(SLOW, True, True), (FAST, True, False), (SLOW, False, False)],
    ids=["slow links", "fast links", "links nobody measured"],
)
def test_auto_records_before_where_links_are_known_to_be_slow(
    link: Link, measured: bool, before: bool
) -> None:
    assert _is_before(pac(_given(), _work(link, measured=measured))) is before


def test_a_given_layout_is_followed_as_published_unless_asked_otherwise() -> None:
    given = {"groups": ["0,1", "2,3"], "layers": [4, 4]}
    assert not _is_before(pac(_given(**given), _work(SLOW)))
    recording, _ = pac(_given(**given, record="before"), _work(SLOW))
    assert {tuple(s.layers for s in route) for route in recording.plan.routes} == {
        (range(4), range(4, 8))
    }


def test_for_memory_no_device_holds_the_whole_side_network() -> None:
    work = _work(FAST)
    recording, _ = pac(_given(goal="memory"), work)
    assert recording.beforehand
    most = max(len(stage.layers) for route in recording.plan.routes for stage in route)
    assert most == 2  # eight layers on four devices
    ahead = beforehand(_given(goal="memory"), work, 3)
    fastest = beforehand(_given(), work, 3)
    assert ahead is not None and fastest is not None
    assert ahead.memory <= fastest.memory
    assert fastest.seconds <= ahead.seconds


def test_devices_too_small_for_the_whole_side_network_train_it_in_stages() -> None:
    work = _work(FAST, memory=30_000)
    with pytest.raises(BadInput, match="the side network"):
        pac(_given(record="first-epoch"), work)
    assert _is_before(pac(_given(), work))


def test_where_nothing_fits_the_published_way_says_what_is_missing() -> None:
    work = _work(FAST, memory=5_000)
    assert beforehand(_given(), work, 3) is None
    for record in ("auto", "before", "first-epoch"):
        with pytest.raises(Infeasible):
            pac(_given(record=record), work)


def test_one_device_records_while_it_trains() -> None:
    assert not _is_before(pac(_given(), _work(SLOW, ranks=1)))


def test_recording_takes_what_the_busiest_device_or_link_takes() -> None:
    cost = replace(_work(FAST).cost, links=()).recording()
    low, high = range(6), range(6, 8)
    routes = tuple((Stage(a, low), Stage(b, high)) for a, b in ((0, 2), (1, 3)))
    plan = PartitionPlan(routes, (0, 0, 1, 0, 0, 1, 0, 1))
    once = cost.forward(Stage(0, low))
    assert recorded(cost, plan) == pytest.approx(5 * once)
    slow = replace(cost, link=Link(bandwidth=10, latency=1e-3))
    send = slow.send(Stage(0, low), Stage(2, high))
    assert send > once
    assert recorded(slow, plan) == pytest.approx(5 * send)


@pytest.mark.parametrize("seed", range(40))
def test_the_plan_fits_and_trains_everything(seed: int) -> None:
    chance = random.Random(seed)
    layers = tuple(
        replace(LAYER, frozen_forward=chance.random(), activation=chance.randint(0, 300))
        for _ in range(chance.randint(3, 9))
    )
    devices = tuple(
        Device(chance.choice([0.5, 1.0, 2.0]), chance.randint(20_000, 90_000))
        for _ in range(chance.randint(2, 6))
    )
    work = replace(
        _work(chance.choice([FAST, SLOW])),
        cost=CostModel(layers, devices, SLOW),
        trainable=frozenset(range(len(layers))),
    )
    found = beforehand(_given(goal=chance.choice(["time", "memory"])), work, 3)
    if found is None:
        return
    assert set(found.plan.trainers) == set(work.trainable)
    assert found.memory <= max(device.memory for device in devices)
    recording = work.cost.recording()
    for route in found.plan.routes:
        for stage in route:
            assert recording.memory(stage, False, 0) <= devices[stage.rank].memory
