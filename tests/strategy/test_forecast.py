"""Epochs added up, and what ranks need at most."""

from dataclasses import replace

import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.prediction import Amount, Carried, Part, Way, predict
from mpiedge.strategy.forecast import Costs, add, forecast
from mpiedge.strategy.strategy import Phase, Source

LAYER = LayerProfile(
    1.0, 2.0, 100, 10, 7, boundary=80, working=3, frozen_forward=0.5, frozen_weights=60
)
COST = CostModel((LAYER,) * 4, (Device(1.0, 999),) * 2, Link(bandwidth=1000.0, latency=0.0))
HALF = replace(COST, layers=tuple(layer.scaled(0.5) for layer in COST.layers))
SPLIT = (Stage(0, range(2), frozenset({1})), Stage(1, range(2, 4), frozenset({2, 3})))
PIPELINE = PartitionPlan((SPLIT,), (0, 0))
ALONE = tuple((Stage(rank, range(4), frozenset({1, 2, 3})),) for rank in (0, 1))
PARALLEL = PartitionPlan(ALONE, (0, 1))


def test_a_run_is_its_epochs_and_an_epoch_its_parts() -> None:
    found = forecast((Phase(PIPELINE, 10, together=3),), Costs(COST, COST), epoch=5)
    parts = [predict(Part(PIPELINE, COST, batches)) for batches in (3, 2)]
    assert [epoch.seconds for epoch in found.epochs] == [
        pytest.approx(sum(part.seconds for part in parts))
    ] * 2
    assert found.seconds == pytest.approx(2 * found.epochs[0].seconds)
    assert found.epochs[0].busy[1] == pytest.approx(sum(part.ranks[1].busy for part in parts))
    # Two micro-batches in each of five batches.
    assert found.epochs[0].sent[Way(0, 1, Carried.ACTIVATION)] == Amount(10, 800)


def test_time_goes_by_usual_micro_batches_and_memory_by_the_largest() -> None:
    usual = forecast((Phase(PIPELINE, 5),), Costs(HALF, COST), epoch=5)
    largest = forecast((Phase(PIPELINE, 5),), Costs(COST, COST), epoch=5)
    assert usual.seconds == pytest.approx(largest.seconds / 2)
    assert usual.memory == largest.memory
    assert usual.epochs[0].sent[Way(0, 1, Carried.ACTIVATION)] == Amount(10, 400)


def test_a_replay_needs_less_and_the_fuller_phase_counts() -> None:
    record = Phase(PIPELINE, 4, source=Source.RECORD)
    replay = Phase(PARALLEL, 4, source=Source.REPLAY)
    found = forecast((record, replay), Costs(COST, COST), epoch=4)
    first, second = found.epochs
    assert set(first.sent) != set(second.sent)
    assert second.sent[Way(0, 1, Carried.SUM)].messages == 4
    only = forecast((replay,), Costs(COST, COST), epoch=4)
    assert only.memory[0].frozen == 4 * 40 - 30
    before = forecast((record,), Costs(COST, COST), epoch=4)
    for rank in (0, 1):
        most = max(only.memory[rank].total, before.memory[rank].total)
        assert found.memory[rank].total == most


def test_a_run_takes_no_less_than_its_bytes_take_on_a_link() -> None:
    slow = replace(COST, link=Link(bandwidth=1.0, latency=0.0))
    plan = replace(PIPELINE, assignment=(0,) * 8)
    recording = Phase(plan, 0, source=Source.RECORD, beforehand=3)
    found = forecast((recording, Phase(plan, 3, source=Source.REPLAY)), Costs(slow, slow), 3)
    (crossed,) = [amount.bytes for amount in found.before.sent.values()]
    assert crossed == 3 * 8 * 80
    assert found.before.seconds >= crossed / slow.link.bandwidth


def test_layers_that_only_evaluate_are_held_too() -> None:
    above = PartitionPlan(((Stage(0, range(2, 4), frozenset({3})),),), (0, 0))
    whole = PartitionPlan(((Stage(0, range(4)),),), (0, 0))
    found = forecast((Phase(above, 4, evaluation=whole),), Costs(COST, COST), epoch=4)
    bare = forecast((Phase(above, 4),), Costs(COST, COST), epoch=4)
    assert found.memory[0].frozen == bare.memory[0].frozen + 200


def test_what_crosses_a_link_in_both_is_added() -> None:
    up, down = Way(0, 1, Carried.ACTIVATION), Way(1, 0, Carried.GRADIENT)
    both = add({up: Amount(1, 10)}, {up: Amount(2, 5), down: Amount(1, 1)})
    assert both == {up: Amount(3, 15), down: Amount(1, 1)}
