"""What layers are taken to cost, from their shapes alone."""

from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import alone
from mpiedge.plan.cost import CostModel
from mpiedge.run.estimate import estimate
from mpiedge.run.opening import Opened, open_run
from tests.runs import settings

WIDTH, INNER, VOCABULARY, POSITIONS = 32, 48, 320, 160


def opened(bert: Path, requests: Path, **sections: dict[str, Any]) -> Opened:
    return open_run(settings(bert, requests, **sections), alone())


@pytest.fixture(scope="module")
def lora(bert: Path, requests: Path) -> Opened:
    return opened(bert, requests)


def cost(run: Opened, rows: int = 2, length: int = 16) -> CostModel:
    return estimate(run.blueprint, run.tuned, (rows, length), [100, 200])


def test_equal_blocks_cost_the_same_and_more_than_what_surrounds_them(lora: Opened) -> None:
    embedding, *blocks, head = cost(lora).layers
    assert len(blocks) == 3
    assert len(set(blocks)) == 1
    assert embedding.forward == 0.0
    assert 0 < head.forward < blocks[0].forward


def test_work_grows_with_rows_and_tokens(lora: Opened) -> None:
    once, rows, tokens = cost(lora).layers, cost(lora, 4).layers, cost(lora, 2, 32).layers
    assert rows[1].forward == pytest.approx(2 * once[1].forward)
    assert tokens[1].forward == pytest.approx(2 * once[1].forward)
    # A classification's head looks at one token of a row.
    assert rows[-1].forward == pytest.approx(2 * once[-1].forward)
    assert tokens[-1].forward == once[-1].forward


def test_bytes_are_those_of_the_weights_and_of_what_is_sent(lora: Opened) -> None:
    embedding, block, *_, head = cost(lora).layers
    assert embedding.weights == 4 * WIDTH * (VOCABULARY + POSITIONS + 2 + 2)
    assert block.tuned == 4 * 2 * (4 * WIDTH + WIDTH * 4)  # A and B of rank 4, query and value
    assert head.tuned == 4 * 3 * (WIDTH + 1)
    assert block.boundary == 4 * 2 * 16 * WIDTH
    assert embedding.tuned == 0
    assert block.activation > embedding.activation == block.boundary


def test_training_every_weight_takes_a_longer_way_back(
    lora: Opened, bert: Path, requests: Path
) -> None:
    whole = cost(opened(bert, requests, adapter={"kind": "full"})).layers[1]
    light = cost(lora).layers[1]
    assert light.backward == light.forward
    assert whole.backward == 2 * whole.forward
    assert whole.tuned == whole.weights > 8 * light.tuned


def test_devices_are_the_ranks(lora: Opened) -> None:
    assert [device.memory for device in cost(lora).devices] == [100, 200]
