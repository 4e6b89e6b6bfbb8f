"""Devices beside a schedule."""

import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.prediction import Amount, Carried, Way
from mpiedge.strategy.feeding import fed
from mpiedge.strategy.forecast import Costs, Forecast, forecast
from mpiedge.strategy.strategy import Phase, Rounds, Source

LAYER = LayerProfile(1.0, 2.0, 100, 10, 7, boundary=80, working=3)
DEVICES = (Device(1.0, 999), Device(0.1, 999), Device(1.0, 999))
COST = CostModel((LAYER,) * 5, DEVICES, Link(bandwidth=1000.0, latency=0.0), rows=2)
SERVER = PartitionPlan(((Stage(0, range(3, 5), frozenset({3, 4})),),), (0, 0))
FEEDERS = (Stage(1, range(2)), Stage(2, range(3)))
EXAMPLES = {1: 8, 2: 8}


def found(*phases: Phase) -> Forecast:
    costs = Costs(COST, COST)
    return fed(forecast(phases, costs, epoch=4), phases, costs, EXAMPLES)


def test_an_epoch_lasts_as_long_as_its_slowest_device() -> None:
    (epoch,) = found(Phase(SERVER, 4, feeders=FEEDERS)).epochs
    # Four micro-batches of two rows, each two layers at a tenth of the speed.
    assert epoch.busy[1] == pytest.approx(4 * 2 / 0.1)
    assert epoch.busy[2] == pytest.approx(4 * 3)
    assert epoch.seconds == pytest.approx(80)
    assert epoch.sent == {
        Way(1, 0, Carried.ACTIVATION): Amount(4, 320),
        Way(2, 0, Carried.ACTIVATION): Amount(4, 320),
    }


def test_the_server_runs_what_devices_leave_to_it() -> None:
    fast = (Stage(2, range(2)),)
    phase = Phase(SERVER, 4, feeders=fast)
    bare = forecast((phase,), Costs(COST, COST), epoch=4)
    (epoch,) = found(phase).epochs
    assert epoch.seconds == pytest.approx(bare.seconds + 4 * 1)


def test_with_a_replay_only_the_first_epoch_is_fed() -> None:
    record = Phase(SERVER, 4, source=Source.RECORD, entrances=(3,), feeders=FEEDERS)
    replay = Phase(SERVER, 4, source=Source.REPLAY, entrances=(3,), feeders=FEEDERS)
    first, second = found(record, replay).epochs
    assert first.seconds == pytest.approx(80)
    assert second.seconds == pytest.approx(forecast((replay,), Costs(COST, COST), 4).seconds)
    assert not second.sent


def test_devices_hold_their_layers_and_what_leaves() -> None:
    memory = found(Phase(SERVER, 4, feeders=FEEDERS)).memory
    assert memory[1].total == 2 * 100 + 80 + 7 + 3
    assert memory[1].tuned == 0


def test_without_feeders_and_in_rounds_nothing_changes() -> None:
    plain = (Phase(SERVER, 4),)
    costs = Costs(COST, COST)
    assert found(*plain) == forecast(plain, costs, 4)
    rounds = (Phase(SERVER, 4, feeders=FEEDERS, rounds=Rounds.GRADIENTS),)
    assert found(*rounds) == forecast(rounds, costs, 4)
