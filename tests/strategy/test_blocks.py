"""DEFT's tables: runs of layers, and what a device needs for each."""

from dataclasses import replace

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.strategy.blocks import blocks_of, table, whole

LAYERS = 7  # an embedding, five blocks, a head
TUNED = range(1, LAYERS)
HEAD = LAYERS - 1


@pytest.mark.parametrize(
    ("count", "blocks"),
    [
        (1, ((5, 4, 3, 2, 1),)),
        (2, ((5, 4, 3), (2, 1))),
        (3, ((5, 4), (3, 2), (1,))),
        (5, ((5,), (4,), (3,), (2,), (1,))),
    ],
)
def test_blocks_are_runs_of_layers_nearest_the_loss_first(
    count: int, blocks: tuple[tuple[int, ...], ...]
) -> None:
    assert blocks_of(TUNED, HEAD, count) == blocks


@pytest.mark.parametrize("count", [0, 6, -1])
def test_there_is_no_block_without_a_layer(count: int) -> None:
    with pytest.raises(BadInput, match=rf"strategy.blocks {count} is not possible: .* 5 tuned"):
        blocks_of(TUNED, HEAD, count)


def test_only_tuned_layers_are_in_blocks() -> None:
    assert blocks_of([3, 4, 5, HEAD], HEAD, 3) == ((5,), (4,), (3,))


def test_a_deeper_block_takes_longer_and_keeps_more(cost: CostModel) -> None:
    found = table(cost, blocks_of(TUNED, HEAD, 5), micro_batches=4)
    forward = sum(layer.forward for layer in cost.layers)
    # Backward from the head down to the block's own layer.
    passed = [sum(cost.layers[i].backward for i in range(lowest, LAYERS)) for lowest in TUNED]
    assert found.seconds == pytest.approx([4 * (forward + passed[i]) for i in (4, 3, 2, 1, 0)])
    assert sorted(found.memory) == list(found.memory)
    assert found.memory[0] < found.memory[-1]


def test_a_block_and_the_head_are_sent(cost: CostModel) -> None:
    found = table(cost, blocks_of(TUNED, HEAD, 2), micro_batches=1)
    assert found.payload == (3 * 100 + 7, 2 * 100 + 7)


def test_who_tunes_all_sends_all_after_its_steps(cost: CostModel) -> None:
    one, three = whole(cost, 2, 1), whole(cost, 2, 3)
    assert one.payload == three.payload == (5 * 100 + 7,)
    assert three.seconds[0] == pytest.approx(3 * one.seconds[0])


@pytest.fixture
def cost() -> CostModel:
    plain = LayerProfile(1.0, 2.0, weights=1000, tuned=100, activation=50, boundary=10)
    first = replace(plain, tuned=0, backward=0.5)
    last = replace(plain, tuned=7, forward=0.25)
    return CostModel((first, *[plain] * 5, last), (Device(1.0, 1 << 30),), Link(1e6, 0.0))
