"""What layers are taken to cost, from their shapes alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import alone
from mpiedge.errors import BadInput
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.blueprint import open_model
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings, ModelSettings
from mpiedge.plan.cost import CostModel
from mpiedge.run.estimate import estimate
from mpiedge.run.opening import Opened, open_run
from tests.models import save_tiny
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


@pytest.fixture(scope="module")
def beside(bert: Path, requests: Path) -> Opened:
    return opened(bert, requests, adapter={"kind": "parallel", "reduction": 4})


def test_gradients_pass_through_a_side_network_alone(beside: Opened, lora: Opened) -> None:
    layer, plain = cost(beside).layers[1], cost(lora).layers[1]
    side = layer.forward - layer.frozen_forward
    assert layer.backward == pytest.approx(2 * side)
    assert 0 < side < layer.frozen_forward < plain.forward  # without the LoRA matrices
    # A quarter of the width of everything, and its own projection from the whole width.
    small = 2 * (4 * 8 * 8 + 2 * 8 * INNER // 4 + 8 * WIDTH)
    assert side == pytest.approx(small * 2 * 16 / 2e10)


def test_only_its_own_gradients_return(beside: Opened) -> None:
    embedding, block, *_, head = cost(beside).layers
    wide = 4 * 2 * 16 * WIDTH
    assert block.boundary == embedding.boundary == wide + wide // 4
    assert block.gradient == embedding.gradient == wide // 4
    assert wide < block.activation < cost(beside, 4).layers[1].activation
    assert embedding.tuned == 4 * (WIDTH * 8 + 8 + 8)  # weights, bias, direction of likeness
    assert head.gradient == wide // 4


def test_a_replay_holds_the_side_network_and_the_head(beside: Opened) -> None:
    computed, replayed = cost(beside), cost(beside).replaying()
    for whole, rest in zip(computed.layers[:-1], replayed.layers[:-1], strict=True):
        assert rest.weights == rest.tuned < whole.weights
    head = computed.layers[-1]
    assert replayed.layers[-1] == replace(head, boundary=head.gradient)  # which nothing crosses
    assert replayed.layers[1].forward == pytest.approx(computed.layers[1].backward / 2)


def test_a_decoder_apart_works_on_the_target_and_hands_the_source_on(
    tmp_path: Path,
) -> None:
    folder = save_tiny("bart", tmp_path / "bart")
    blueprint = open_model(ModelSettings(name=str(folder)), Purpose.SEQ2SEQ, 0)
    adapter = AdapterSettings(kind="parallel", reduction=4)
    inject(blueprint.model, adapter, "bart", ())
    tuned = tuned_names(blueprint.model, adapter, ())
    made = estimate(blueprint, tuned, (2, 16, 5), [1, 1]).layers
    assert blueprint.bridge == 3
    width, side = 4 * 2 * WIDTH, 4 * 2 * WIDTH // 4
    assert made[1].boundary == 16 * (width + side)
    assert made[4].boundary == (16 + 5) * (width + side)
    assert made[4].gradient == (16 + 5) * side
    assert made[4].forward < made[1].forward
    # Scores of every word and their gradients; without a second length, of as many as the source.
    longer = estimate(blueprint, tuned, (2, 16), [1, 1]).layers
    assert longer[-1].activation == pytest.approx(16 / 5 * made[-1].activation)
    assert made[-1].activation > 2 * 4 * 2 * 5 * VOCABULARY


def test_speeds_are_those_of_the_run_file(lora: Opened) -> None:
    made = estimate(lora.blueprint, lora.tuned, (2, 16), [100, 200], [1.0, 2.5])
    assert [device.speed for device in made.devices] == [1.0, 2.5]
    assert [device.speed for device in cost(lora).devices] == [1.0, 1.0]
    assert made.rows == 2


@pytest.mark.parametrize("speeds", [[1.0], [1.0, 0.0], [1.0, -2.0], [1.0, 1.0, 1.0]])
def test_speeds_that_do_not_fit_are_bad_input(lora: Opened, speeds: list[float]) -> None:
    with pytest.raises(BadInput, match=r"strategy.speeds .* each of the 2 ranks"):
        estimate(lora.blueprint, lora.tuned, (2, 16), [100, 200], speeds)


def test_devices_are_the_ranks(lora: Opened) -> None:
    assert [device.memory for device in cost(lora).devices] == [100, 200]
