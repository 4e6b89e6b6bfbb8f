import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link, UnitCost
from mpiedge.plan.partition import Stage

COST = CostModel(
    layers=(
        LayerProfile(1.0, 2.0, weights=100, tuned=0, activation=10, boundary=1000),
        LayerProfile(3.0, 4.0, weights=200, tuned=20, activation=30, boundary=2000),
        LayerProfile(5.0, 6.0, weights=400, tuned=40, activation=50, boundary=0),
    ),
    devices=(Device(1.0, 10**6), Device(2.0, 10**6)),
    link=Link(bandwidth=1000.0, latency=0.5),
)


def test_a_faster_device_takes_less_time() -> None:
    assert COST.forward(Stage(0, range(0, 2))) == 4.0
    assert COST.forward(Stage(1, range(0, 2))) == 2.0


def test_backward_ends_at_the_lowest_tuned_layer() -> None:
    stage = Stage(0, range(0, 3), frozenset({2}))
    assert COST.backward(stage, lowest=True) == 6.0
    assert COST.backward(stage, lowest=False) == 12.0


def test_a_message_costs_latency_and_transfer_the_same_both_ways() -> None:
    below, above = Stage(0, range(0, 2)), Stage(1, range(2, 3))
    assert COST.send(below, above) == pytest.approx(0.5 + 2.0)
    assert COST.send(above, below) == COST.send(below, above)
    assert COST.send(below, Stage(0, range(2, 3))) == 0.0


def test_memory_counts_weights_training_state_and_what_is_in_flight() -> None:
    stage = Stage(0, range(0, 3), frozenset({1, 2}))
    assert COST.memory(stage, lowest=True, in_flight=2) == 700 + 3 * 60 + 2 * (30 + 50)
    assert COST.memory(stage, lowest=False, in_flight=1) == 700 + 3 * 60 + 90


def test_unit_cost() -> None:
    unit, stage = UnitCost(), Stage(0, range(2))
    assert (unit.forward(stage), unit.backward(stage, True)) == (1.0, 1.0)
    assert (unit.send(stage, stage), unit.update(0)) == (0.0, 0.0)
