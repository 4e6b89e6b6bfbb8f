"""From settings and devices to who tunes what, with which share of the uplink."""

from math import inf

import numpy as np
import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.strategy.allotment import Client, allot, check_clients, problem
from mpiedge.strategy.blocks import Table
from mpiedge.strategy.settings import StrategySettings

NONE = frozenset[int]()
EACH = Table(seconds=(1.0, 2.0, 3.0), memory=(10, 20, 30), payload=(100, 100, 100))
EQUAL = [Client(1.0, 100, 300.0)] * 3


def _settings(**given: object) -> StrategySettings:
    """As published, but for what is given."""
    return StrategySettings(**{"name": "deft", "slack": 0.0, **given})  # type: ignore[arg-type]


def test_seconds_and_payloads_are_those_of_each_device() -> None:
    clients = [Client(2.0, 100, 50.0), Client(0.5, 100, 200.0)]
    two = Table(EACH.seconds[:2], EACH.memory[:2], EACH.payload[:2])
    of = problem(_settings(), two, clients, NONE)
    assert np.allclose(of.seconds, [[0.5, 1.0], [2.0, 4.0]])
    assert np.allclose(of.payload, [[2.0, 2.0], [0.5, 0.5]])


def test_a_faster_device_tunes_a_deeper_block() -> None:
    clients = [Client(1.0, 100, 1e9), Client(4.0, 100, 1e9), Client(2.0, 100, 1e9)]
    found = allot(_settings(), problem(_settings(), EACH, clients, NONE), 0)
    assert found.blocks == (0, 2, 1)
    assert sum(found.shares) == pytest.approx(1.0)
    assert found.seconds == pytest.approx(1.0, rel=1e-3)


def test_the_round_is_computing_and_the_upload_with_its_share() -> None:
    found = allot(_settings(), problem(_settings(), EACH, EQUAL, NONE), 0)
    ends = [
        EACH.seconds[block] + EACH.payload[block] / (share * 300.0)
        for block, share in zip(found.blocks, found.shares, strict=True)
    ]
    assert ends == pytest.approx([found.seconds] * 3)


def test_with_slack_who_is_ready_early_has_sent_early() -> None:
    tight, loose = (
        allot(settings, problem(settings, EACH, EQUAL, NONE), 0)
        for settings in (_settings(), _settings(slack=0.01))
    )
    assert loose.blocks == tight.blocks
    assert tight.seconds < loose.seconds <= 1.01 * tight.seconds
    assert loose.shares[loose.blocks.index(0)] > tight.shares[tight.blocks.index(0)]
    assert sum(loose.shares) == pytest.approx(1.0)


def test_slack_is_for_the_joint_allocation_of_objective_a() -> None:
    for given in ({"allocation": "crunch"}, {"objective": "B"}):
        tight, loose = (
            allot(settings, problem(settings, EACH, EQUAL, NONE), 0)
            for settings in (_settings(**given), _settings(slack=0.01, **given))
        )
        assert loose == tight


def test_a_device_without_the_memory_gets_a_block_that_fits() -> None:
    clients = [Client(9.0, 15, 1e9), Client(1.0, 25, 1e9), Client(1.0, 99, 1e9)]
    assert allot(_settings(), problem(_settings(), EACH, clients, NONE), 0).blocks == (0, 1, 2)


def test_who_is_absent_gets_nothing() -> None:
    one = Table(EACH.seconds[:1], EACH.memory[:1], EACH.payload[:1])
    found = allot(_settings(), problem(_settings(), one, EQUAL, frozenset({0, 2})), 0)
    assert found.blocks == (-1, 0, -1)
    assert found.shares == pytest.approx((0.0, 1.0, 0.0))


def test_too_few_devices_is_infeasible() -> None:
    with pytest.raises(Infeasible, match="block"):
        allot(_settings(), problem(_settings(), EACH, EQUAL, frozenset({1})), 0)


def test_replicas_of_a_block_are_at_different_devices() -> None:
    two = Table(EACH.seconds[:2], EACH.memory[:2], EACH.payload[:2])
    settings, clients = _settings(replicas=2), [*EQUAL, Client(1.0, 100, 300.0)]
    found = allot(settings, problem(settings, two, clients, NONE), 0)
    assert sorted(found.blocks) == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["jbba", "crunch", "crunch-equal", "random", "sum"])
def test_every_scheme_shares_the_whole_uplink(name: str) -> None:
    settings = _settings(allocation=name)
    found = allot(settings, problem(settings, EACH, EQUAL, NONE), 3)
    assert sorted(found.blocks) == [0, 1, 2]
    assert sum(found.shares) == pytest.approx(1.0)
    joint = allot(_settings(), problem(_settings(), EACH, EQUAL, NONE), 3)
    assert joint.seconds <= found.seconds * (1 + 1e-9)


@pytest.mark.parametrize("uplinks", [[1.0], [1.0, -1.0], [1.0, inf], [1.0, 2.0, 3.0]])
def test_uplinks_that_are_none(uplinks: list[float]) -> None:
    with pytest.raises(BadInput, match="strategy.uplinks"):
        check_clients(_settings(uplinks=uplinks), 2)


def test_no_uplinks_or_one_each_is_fine() -> None:
    check_clients(_settings(), 2)
    check_clients(_settings(uplinks=[0.0, 5.0]), 2)
