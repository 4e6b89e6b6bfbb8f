"""Beside a side network the model is frozen: no gradient, no dropout, nothing kept of it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mpiedge.model.activation import entrance
from mpiedge.model.families import FAMILIES
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.shard import Shard
from tests.model.alongside import beside, planned, tuned
from tests.model.rows import Batch, batch, entries, loaded
from tests.models import save_tiny

LAST = [(family, list(FAMILIES[family].heads)[-1]) for family in FAMILIES]
WIDE = {"hidden": 32, "feed": 44}
CHANGES = {"bert": "intermediate_size", "roberta": "intermediate_size", "gpt2": "n_inner"}
CHANGES |= {"llama": "intermediate_size", "t5": "d_ff"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models whose wide space has a size that nothing else has."""
    root = tmp_path_factory.mktemp("tiny")
    feeds = {family: {name: WIDE["feed"]} for family, name in CHANGES.items()}
    feeds["bart"] = {"encoder_ffn_dim": WIDE["feed"], "decoder_ffn_dim": WIDE["feed"]}
    return {family: save_tiny(family, root / family, **feeds[family]) for family in FAMILIES}


def kept(shard: Shard, layers: range, given: Batch, purpose: Purpose) -> dict[int, Tensor]:
    """What a forward pass keeps for the backward pass, parameters aside, by place in memory."""
    own = {each.untyped_storage().data_ptr() for each in shard.model.parameters()}
    found: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            found[place] = tensor
        return tensor

    x = entrance(given.mask)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        shard.train()(x, layers, entries(shard, given, purpose), lambda layer: layer)
    return found


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_nothing_of_the_model_but_its_layers_outputs_is_kept(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    shard = beside(tiny[family], purpose, dropout=0.1)
    last = shard.blueprint.num_layers - 1
    found = kept(shard, range(last), batch(family), purpose)
    wide = [each for each in found.values() if each.shape[-1] == WIDE["hidden"]]
    # A down-projection's gradient is made from what it was given: one tensor for each layer.
    assert len(wide) == last
    assert not any(each.shape[-1] == WIDE["feed"] for each in found.values())
    small = [each for each in found.values() if each.shape[-1] != WIDE["hidden"]]
    assert any(each.shape[-1] == WIDE["feed"] // 4 for each in small)


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_no_parameter_of_the_model_gets_a_gradient(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given = batch(family)
    for merge in ("none", "gate"):
        shard = beside(tiny[family], purpose, merge=merge).train()
        # Even where someone has forgotten to freeze it.
        shard.model.requires_grad_(True)
        every = range(shard.blueprint.num_layers)
        shard(entrance(given.mask), every, entries(shard, given, purpose)).hidden.sum().backward()
        head = shard.parameters_of(every[-1])
        for name, each in shard.model.named_parameters():
            if not name.startswith("side.") and name not in head:
                assert each.grad is None, name
        assert all(each.grad is not None for each in shard.model.side.down.parameters())


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_what_the_model_makes_is_as_without_a_side_network(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given, shard = batch(family), beside(tiny[family], purpose, dropout=0.5).train()
    plain = loaded(tiny[family], purpose)
    blocks = range(shard.blueprint.num_layers - 1)
    x = entrance(given.mask)
    found = shard(x, blocks, entries(shard, given, purpose), lambda layer: layer)
    expected = plain(x, blocks, entries(plain, given, purpose))
    assert not found.hidden.requires_grad
    assert torch.equal(found.hidden, expected.hidden)
    assert torch.equal(found.encoded, expected.encoded)
    assert torch.equal(found.mask, expected.mask)
    assert found.side.requires_grad
    assert found.side.shape == (*found.hidden.shape[:2], WIDE["hidden"] // 4)


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_dropout_is_off_before_anyone_says_so(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    blueprint = planned(tiny[family], purpose)
    assert any(module.training for module in blueprint.model.base_model.modules())
    load(blueprint, range(blueprint.num_layers), tuned=tuned(blueprint))
    training = {name for name, module in blueprint.model.named_modules() if module.training}
    assert training
    assert all(name.partition(".")[0] == "side" for name in training)


def test_memory_of_a_plain_model_is_more(tiny: dict[str, Path]) -> None:
    """The measure used above sees what a model that is trained keeps."""
    shard = loaded(tiny["bert"], Purpose.CLASSIFICATION)
    shard.model.requires_grad_(True)
    found = kept(shard, range(3), batch("bert"), Purpose.CLASSIFICATION)
    assert any(each.shape[-1] == WIDE["feed"] for each in found.values())
    assert sum(each.shape[-1] == WIDE["hidden"] for each in found.values()) > 6
