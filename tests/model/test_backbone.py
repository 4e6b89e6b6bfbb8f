"""Recorded and replayed layers give what computed ones do, and need nothing of the model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mpiedge.model.activation import Activation, entrance
from mpiedge.model.backbone import computed
from mpiedge.model.families import FAMILIES
from mpiedge.model.load import Parts, load
from mpiedge.model.purpose import Purpose
from mpiedge.model.shard import Shard
from tests.model.alongside import beside, move, planned, tuned
from tests.model.rows import Batch, batch, entries, loaded
from tests.models import save_tiny

EVERY = [(family.name, purpose) for family in FAMILIES.values() for purpose in family.heads]
LAST = [(family, list(FAMILIES[family].heads)[-1]) for family in FAMILIES]
Compute = Callable[[], Activation]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


class Recorder:
    """Keeps what each layer made, and the masks it was asked with."""

    def __init__(self) -> None:
        self.hidden: dict[int, Tensor] = {}
        self.masks: dict[int, Tensor] = {}

    def __call__(self, layer: int, x: Activation, compute: Compute) -> Activation:
        y = compute()
        self.hidden[layer], self.masks[layer] = y.hidden, x.mask
        assert torch.equal(x.mask, y.mask)
        assert torch.equal(x.encoded_mask, y.encoded_mask)
        return y


class Player:
    """Gives what was recorded."""

    def __init__(self, hidden: dict[int, Tensor]) -> None:
        self.hidden, self.computed = hidden, 0

    def __call__(self, layer: int, x: Activation, compute: Compute) -> Activation:
        assert callable(compute)
        return x._replace(hidden=self.hidden[layer])


def through(
    shard: Shard, given: Batch, purpose: Purpose, backbone: Recorder | Player | None = None
) -> Activation:
    every = range(shard.blueprint.num_layers)
    rows = entries(shard, given, purpose)
    return shard(entrance(given.mask), every, rows, backbone=backbone)


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_a_replay_without_the_model_gives_the_same_logits_and_gradients(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given, shard, recorder = batch(family), beside(tiny[family], purpose), Recorder()
    expected = through(shard, given, purpose, recorder).hidden
    assert torch.equal(expected, through(shard, given, purpose).hidden)
    assert list(recorder.hidden) == list(range(shard.blueprint.num_layers - 1))
    expected.square().sum().backward()
    alone = without_model(tiny[family], purpose)
    found = through(alone, given, purpose, Player(recorder.hidden)).hidden
    assert torch.equal(found, expected)
    found.square().sum().backward()
    for name, parameter in shard.tuned_parameters().items():
        assert torch.equal(alone.tuned_parameters()[name].grad, parameter.grad), name


@pytest.mark.parametrize("merge", ["add", "gate"])
@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_so_does_one_that_merges_the_models_output(
    tiny: dict[str, Path], family: str, purpose: Purpose, merge: str
) -> None:
    given, recorder = batch(family), Recorder()
    expected = through(beside(tiny[family], purpose, merge=merge), given, purpose, recorder).hidden
    alone = without_model(tiny[family], purpose, merge=merge)
    assert torch.equal(through(alone, given, purpose, Player(recorder.hidden)).hidden, expected)


def without_model(folder: Path, purpose: Purpose, **changes: str) -> Shard:
    """The side network and the head; all else stays on the meta device, where nothing runs."""
    blueprint = planned(folder, purpose, **changes)
    every, last = range(blueprint.num_layers), blueprint.num_layers - 1
    shard = load(blueprint, every, tuned=tuned(blueprint), seed=3, parts=Parts.SIDE)
    real = {name for name, each in blueprint.model.named_parameters() if not each.is_meta}
    side = {name for name, _ in blueprint.model.named_parameters() if name.startswith("side.")}
    assert real == side | blueprint.parameters(last).keys()
    assert len(real) < len(list(blueprint.model.parameters()))
    assert shard.device == torch.device("cpu")
    move(shard)
    return shard.eval()


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_a_part_without_the_model_is_the_side_network_of_its_layers(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    blueprint = planned(tiny[family], purpose)
    shard = load(blueprint, [1, 2], tuned=tuned(blueprint), parts=Parts.SIDE)
    real = {name for name, each in blueprint.model.named_parameters() if not each.is_meta}
    assert real == {name for name in shard.parameters_of(1) if name.startswith("side.")} | {
        name for name in shard.parameters_of(2) if name.startswith("side.")
    }
    assert {"side.down.1.weight", "side.down.2.weight", "side.gate.1"} <= real
    assert not any(name.startswith(("side.down.0", "side.up")) for name in real)


def test_the_masks_that_hold_behind_the_bridge_are_set_before_it(tiny: dict[str, Path]) -> None:
    given, recorder = batch("t5"), Recorder()
    shard = beside(tiny["t5"], Purpose.SEQ2SEQ)
    through(shard, given, Purpose.SEQ2SEQ, recorder)
    bridge = shard.blueprint.bridge
    assert bridge == 3
    assert all(torch.equal(recorder.masks[layer], given.mask) for layer in range(bridge))
    decoders = torch.ones_like(given.decoder_tokens)
    assert all(torch.equal(recorder.masks[layer], decoders) for layer in range(bridge, 7))


def test_a_model_without_a_side_network_asks_too_and_keeps_its_gradients(
    tiny: dict[str, Path],
) -> None:
    given, recorder = batch("bert"), Recorder()
    shard = loaded(tiny["bert"], Purpose.CLASSIFICATION)
    shard.model.requires_grad_(True)
    logits = through(shard, given, Purpose.CLASSIFICATION, recorder).hidden
    assert torch.equal(logits, through(shard, given, Purpose.CLASSIFICATION).hidden)
    assert list(recorder.hidden) == [0, 1, 2]
    assert recorder.hidden[1].requires_grad


def test_computed_is_the_layer_itself() -> None:
    x = entrance(torch.ones(1, 2))
    assert computed(0, x, lambda: x._replace(hidden=x.mask)).hidden is x.mask
