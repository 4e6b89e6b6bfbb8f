"""Devices that were measured, in the terms that plans are made in."""

from dataclasses import replace

import pytest

from mpiedge.plan.cluster import Cluster, Measured, Member, Pace, Passes, Row, applied, kinds_of
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.prediction import Part, predict

LAYER = LayerProfile(1.0, 2.0, 100, 10, 7, boundary=80, frozen_forward=0.5)
COST = CostModel((LAYER,) * 3, (Device(1.0, 500), Device(1.0, 700)), Link(1e8, 1e-4), rows=2)
SLOW, FAST = Link(1e3, 0.5), Link(1e6, 0.0)
LINKS = ((FAST, SLOW), (FAST, FAST))
ROW = Row(("embedding", "block", "head"), (20, 20, 2))


def passes(factor: float) -> dict[str, Passes]:
    block = Passes(Pace(factor * 0.1, factor * 0.01), Pace(factor * 0.2, factor * 0.02))
    return {
        "embedding": Passes(Pace(0.0, 0.0), Pace(0.0, 0.0)),
        "block": block,
        "head": Passes(Pace(0.0, factor * 0.05), Pace(0.0, factor * 0.05)),
    }


def measured(*factors: float) -> Cluster:
    members = tuple(Member("one", 0, layers=passes(factor)) for factor in factors)
    return Cluster(members, LINKS, Measured("bert", 3, 4, "float32", "lora"))


def test_kinds_of_layers() -> None:
    assert kinds_of(4, None) == ("embedding", "block", "block", "head")
    assert kinds_of(6, 3) == ("embedding", "block", "block", "bridge", "decoder", "head")


def test_speeds_are_relative_to_the_reference() -> None:
    cluster = Cluster((Member("a", 0, gflops=20), Member("b", 0, gflops=5)), LINKS)
    found = applied(COST, cluster, ROW, reference=1e10)
    assert found.layers == COST.layers
    assert found.devices == (Device(2.0, 500), Device(0.5, 700))


def test_measured_layers_take_the_place_of_estimates() -> None:
    found = applied(COST, measured(1.0, 4.0), ROW, reference=1e10)
    _, block, head = found.layers
    assert block.forward == pytest.approx(0.1 + 20 * 0.01)
    assert block.backward == pytest.approx(0.2 + 20 * 0.02)
    assert (block.forward_start, block.backward_start) == (0.1, 0.2)
    assert head.forward == pytest.approx(2 * 0.05)
    assert block.frozen_forward == pytest.approx(block.forward / 2)
    assert (block.weights, block.boundary) == (100, 80)
    assert [device.speed for device in found.devices] == pytest.approx([1.0, 0.25])
    # Half as many rows leave the start as it is.
    assert found.at(1).layers[1].forward == pytest.approx(0.1 + 10 * 0.01)


def test_each_pair_has_its_own_link() -> None:
    found = applied(COST, measured(1.0, 1.0), ROW, reference=1e10)
    below, above = Stage(0, range(2), frozenset({1})), Stage(1, range(2, 3), frozenset({2}))
    assert found.send(below, above) == pytest.approx(0.5 + 80 / 1e3)
    assert found.send(above, below) == pytest.approx(80 / 1e6)
    assert found.travel(0, 1, [1]) == pytest.approx(0.5 + 30 / 1e3)
    assert found.between(0, 1) == SLOW
    assert replace(found, links=()).between(0, 1) == SLOW  # of all the slowest


def test_a_sum_goes_around_as_slowly_as_its_slowest_link() -> None:
    routes = tuple((Stage(rank, range(3), frozenset({1})),) for rank in (0, 1))
    part = Part(PartitionPlan(routes, (0, 1)), applied(COST, measured(1, 1), ROW, 1e10), batches=1)
    quick = replace(part, cost=replace(part.cost, links=((FAST, FAST), (FAST, FAST))))
    slower = predict(part).seconds - predict(quick).seconds
    assert slower == pytest.approx(2 * (0.5 + 5 / 1e3 - 5 / 1e6))


def test_the_first_devices_only() -> None:
    found = measured(1.0, 2.0).first(1)
    assert len(found.members) == 1
    assert found.links == ((FAST,),)
