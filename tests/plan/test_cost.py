from dataclasses import replace

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


_SIDE = LayerProfile(
    forward=1.0,
    backward=0.2,
    weights=1000,
    tuned=40,
    activation=64,
    boundary=800,
    gradient=100,
    working=500,
    forward_start=0.2,
    backward_start=0.1,
    frozen_forward=0.75,
    frozen_start=0.15,
    frozen_weights=960,
)
_BESIDE = CostModel((_SIDE,) * 3, (Device(1.0, 10**6),) * 2, Link(1000.0, 0.5), rows=4)


def test_gradients_that_return_may_be_fewer_bytes_than_were_sent() -> None:
    below, above = Stage(0, range(2)), Stage(1, range(2, 3))
    assert _BESIDE.send(below, above) == pytest.approx(0.5 + 0.8)
    assert _BESIDE.send(above, below) == pytest.approx(0.5 + 0.1)


def test_what_only_computing_needs_is_counted_once() -> None:
    stage = Stage(0, range(3), frozenset({0, 1, 2}))
    assert _BESIDE.memory(stage, lowest=True, in_flight=2) == 3000 + 360 + 2 * 192 + 500


@pytest.mark.parametrize(("rows", "forward", "backward"), [(2, 0.6, 0.15), (12, 2.6, 0.4)])
def test_other_numbers_of_rows_take_the_start_and_so_much_each(
    rows: int, forward: float, backward: float
) -> None:
    other = _BESIDE.at(rows)
    assert other.forward(Stage(0, range(1))) == pytest.approx(forward)
    assert other.backward(Stage(0, range(1)), lowest=False) == pytest.approx(backward)
    assert other.layers[0].frozen_forward == pytest.approx(0.75 * forward)
    assert other.layers[0].replayed().forward == pytest.approx(0.25 * forward)
    assert other.layers[0].activation == 64 * rows // 4
    assert (other.layers[0].boundary, other.layers[0].gradient) == (200 * rows, 25 * rows)
    assert (other.layers[0].weights, other.layers[0].tuned) == (1000, 40)
    assert other.at(4).forward(Stage(0, range(1))) == pytest.approx(1.0)


def test_a_replay_leaves_the_backbone_out() -> None:
    replay = _BESIDE.replaying()
    assert replay.forward(Stage(0, range(2))) == pytest.approx(0.5)
    assert replay.backward(Stage(0, range(2)), lowest=False) == pytest.approx(0.4)
    assert replay.layers[0].weights == 40
    assert replay.layers[0].working == 0
    assert replay.at(8).forward(Stage(0, range(1))) == pytest.approx(0.05 + 0.2 * 2)
    assert replay.replaying() == replay


def test_without_a_side_network_a_replay_costs_the_same() -> None:
    assert COST.replaying() == COST
    assert replace(COST.at(3), rows=1).layers[0].forward == 3.0


def test_weights_travel_with_two_moments() -> None:
    layer = LayerProfile(1.0, 1.0, weights=1000, tuned=100, activation=1, boundary=1)
    cost = CostModel((layer,) * 3, (Device(1.0, 1),) * 2, Link(bandwidth=100.0, latency=0.5))
    assert cost.travel(0, 1, (1, 2)) == pytest.approx(0.5 + 2 * 3 * 100 / 100)


@pytest.mark.parametrize("moments", [0, 2])
def test_an_optimizer_without_moments_needs_less_memory_and_moves_less(moments: int) -> None:
    layer = LayerProfile(1.0, 2.0, weights=100, tuned=10, activation=1, boundary=8)
    cost = CostModel((layer,), (Device(1.0, 1000),), Link(1.0, 0.0), moments=moments)
    stage = Stage(0, range(1), frozenset({0}))
    assert cost.memory(stage, True, 1) == 100 + (1 + moments) * 10 + 1
    assert cost.travel(0, 1, [0]) == (1 + moments) * 10


def test_recording_and_replaying_together_are_all_there_is_to_compute() -> None:
    """The model's part forward, and later the side network's, which alone has a gradient."""
    stage, trained = Stage(0, range(1)), Stage(0, range(1), frozenset({0}))
    above = Stage(1, range(1, 2))
    model, side = _BESIDE.recording(), _BESIDE.replaying()
    assert model.forward(stage) + side.forward(stage) == pytest.approx(_BESIDE.forward(stage))
    assert (model.backward(stage, True), side.backward(stage, True)) == (
        0.0,
        _BESIDE.backward(stage, True),
    )
    assert model.memory(stage, False, 0) == 960 + 500
    assert side.memory(trained, True, 0) == _BESIDE.memory(trained, True, 0) - 960 - 500
    assert model.send(stage, above) == pytest.approx(0.5 + 0.7)
    assert side.send(stage, above) == pytest.approx(0.5 + 0.1)
