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


def test_what_a_replay_leaves_out_was_measured_too() -> None:
    whole = {**passes(1.0)}
    whole["block"] = whole["block"]._replace(replay=Pace(0.08, 0.001), update=0.5)
    cluster = measured(1.0, 1.0)
    members = tuple(replace(one, layers=whole) for one in cluster.members)
    found = applied(COST, replace(cluster, members=members), ROW, reference=1e10)
    again = found.layers[1].replayed()
    assert again.forward == pytest.approx(0.08 + 20 * 0.001)
    assert again.scaled(0.5).forward == pytest.approx(0.08 + 10 * 0.001)
    assert found.at(1).layers[1].replayed().forward == pytest.approx(0.08 + 10 * 0.001)
    assert found.layers[1].update == again.update == 0.5


def test_devices_are_compared_at_as_many_tokens_as_were_measured() -> None:
    cluster = measured(1.0, 1.0)
    assert cluster.model is not None
    slower = {**passes(1.0), "block": Passes(Pace(0.6, 0.01), Pace(0.2, 0.02))}
    members = (cluster.members[0], replace(cluster.members[1], layers=slower))
    at = replace(cluster, members=members, model=replace(cluster.model, tokens=10))
    of_10, of_20 = 0.1 + 0.2 + 10 * 0.03 + 10 * 0.1, 0.1 + 0.2 + 20 * 0.03 + 2 * 0.1
    found = applied(COST, at, ROW, reference=1e10).devices[1].speed
    assert found == pytest.approx(of_10 / (of_10 + 0.5))
    known = replace(at, model=cluster.model)
    found = applied(COST, known, ROW, reference=1e10).devices[1].speed
    assert found == pytest.approx(of_20 / (of_20 + 0.5))


def test_an_update_takes_the_steps_of_all_layers_that_a_rank_trains() -> None:
    layers = tuple(replace(LAYER, update=0.25 * i) for i in range(3))
    cost = replace(COST, layers=layers, devices=(Device(1.0, 500), Device(0.5, 700)))
    stages = (Stage(0, range(2), frozenset({1})), Stage(1, range(2, 3), frozenset({2})))
    with_steps, without = (
        predict(Part(PartitionPlan((stages,), (0,)), one, 1)).timeline.by_rank
        for one in (cost, replace(cost, layers=COST.layers))
    )
    for rank, seconds in ((0, 0.25), (1, 0.5 / 0.5)):
        last, before = with_steps[rank][-1], without[rank][-1]
        assert last.end - last.start - (before.end - before.start) == pytest.approx(seconds)


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
