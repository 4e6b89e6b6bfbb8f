"""What pruning reads of a checkpoint, in which order, and how much of it at a time."""

import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file

from mpiedge.errors import BadInput
from mpiedge.model.load import open_checkpoint
from mpiedge.model.prune import magnitude, pruned
from mpiedge.model.prune_order import scored
from mpiedge.model.purpose import Purpose
from tests.model.prune_parts import beside, purpose_of
from tests.models import FAMILIES, save_tiny


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {family: save_tiny(family, folder / family) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_only_what_is_wanted_and_no_layer_beyond(family, bases, monkeypatch):
    blueprint = beside(bases[family], purpose_of(family))
    whole, reads = pruned(blueprint), []
    few = {name for name in whole if set(blueprint.layers_of(name)) <= {1}}

    def watched(name, weight):
        reads.append(name)
        return magnitude(name, weight)

    values = pruned(blueprint, watched, few)
    assert values.keys() == few
    assert all(torch.equal(whole[name], value) for name, value in values.items())
    assert {layer for name in reads[1:] for layer in blueprint.layers_of(name)} == {1}
    assert pruned(blueprint, watched, {"side.up.weight"}) == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_importance_is_asked_for_what_is_named_as_scored(family, bases):
    blueprint, asked = beside(bases[family], purpose_of(family)), []

    def watched(name, weight):
        asked.append((name, weight.shape))
        return weight.abs()

    pruned(blueprint, watched)
    named = dict(blueprint.model.named_parameters())
    assert [name for name, _ in asked] == [name for name in scored(blueprint) if name in named]
    assert all(named[name].shape == shape for name, shape in asked)


def test_no_more_than_a_few_weights_at_a_time(bases, monkeypatch):
    blueprint, read, most = beside(bases["bert"], Purpose.CLASSIFICATION), [], []

    class Watched:
        def __init__(self, inner):
            self.inner, self.locate = inner, inner.locate

        def read(self, stored):
            for name, tensor in self.inner.read(stored):
                most.append(sum(each() is not None for each in read))
                read.append(weakref.ref(tensor))
                yield name, tensor

    monkeypatch.setattr(
        "mpiedge.model.prune_cut.open_checkpoint", lambda which: Watched(open_checkpoint(which))
    )
    pruned(blueprint)
    assert len(read) > 30
    assert max(most) <= 1


def test_a_checkpoint_of_torch_gives_the_same(tmp_path, bases):
    (tmp_path / "config.json").write_text((bases["bart"] / "config.json").read_text())
    torch.save(load_file(bases["bart"] / "model.safetensors"), tmp_path / "pytorch_model.bin")
    expected = pruned(beside(bases["bart"], Purpose.SEQ2SEQ))
    values = pruned(beside(tmp_path, Purpose.SEQ2SEQ))
    assert all(torch.equal(values[name], value) for name, value in expected.items())


def test_half_precision_weights_give_float32(tmp_path, bases):
    (tmp_path / "config.json").write_text((bases["bert"] / "config.json").read_text())
    weights = load_file(bases["bert"] / "model.safetensors")
    save_file({n: w.bfloat16() for n, w in weights.items()}, tmp_path / "model.safetensors")
    values = pruned(beside(tmp_path, Purpose.CLASSIFICATION))
    assert all(each.dtype == torch.float32 for each in values.values())


def test_a_weight_that_the_checkpoint_lacks(tmp_path, bases):
    (tmp_path / "config.json").write_text((bases["bert"] / "config.json").read_text())
    weights = load_file(bases["bert"] / "model.safetensors")
    del weights["bert.encoder.layer.1.attention.self.key.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    message = r"has no bert\.encoder\.layer\.1\.attention\.self\.key\.weight; copy the model anew"
    with pytest.raises(BadInput, match=message):
        pruned(beside(tmp_path, Purpose.CLASSIFICATION))
