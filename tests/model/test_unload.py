"""Values given from outside, and a model that is let go again."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from mpiedge.model.families import FAMILIES
from mpiedge.model.load import Parts, load, needed, unload
from mpiedge.model.purpose import Purpose
from tests.model.alongside import beside, planned, tuned
from tests.model.rows import batch, run
from tests.models import save_tiny

LAST = [(family, list(FAMILIES[family].heads)[-1]) for family in FAMILIES]
MIB = 1 << 20

UNLOAD = """
import sys
import torch
from mpiedge.model.activation import entrance
from mpiedge.model.load import Parts, load, needed, unload
from mpiedge.model.purpose import Purpose
from tests.model.alongside import planned, tuned

def resident():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines["VmRSS"].split()[0]) * 1024

blueprint = planned(sys.argv[1], Purpose.CLASSIFICATION, reduction=8)
every = range(blueprint.num_layers)
shard = load(blueprint, every, tuned=tuned(blueprint))
tokens = torch.ones(2, 16, dtype=torch.int64)
shard(entrance(tokens), every, {0: (tokens, torch.zeros_like(tokens))}).hidden.sum().backward()
keep = needed(blueprint, every, parts=Parts.SIDE)
model = blueprint.model.named_parameters()
weights = sum(each.nbytes for name, each in model if name not in keep)
before = resident()
unload(blueprint, keep)
print(before - resident(), weights)
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_resident_memory_falls_by_the_model(tmp_path: Path) -> None:
    shape = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
    config = BertConfig(**shape, num_hidden_layers=5, vocab_size=2000)
    BertModel(config).save_pretrained(tmp_path)
    command = [sys.executable, "-c", UNLOAD, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    freed, weights = map(int, result.stdout.split())
    assert weights > 50 * MIB
    assert 0.95 * weights < freed < 1.5 * weights


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_what_was_let_go_can_be_loaded_again(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given, shard = batch(family), beside(tiny[family], purpose)
    blueprint, every = shard.blueprint, range(shard.blueprint.num_layers)
    expected = run([(shard, every)], given, purpose).hidden
    values = {name: each.detach() for name, each in shard.tuned_parameters().items()}
    unload(blueprint, frozenset())
    assert all(each.is_meta for each in blueprint.model.parameters())
    assert all(each.is_meta for each in blueprint.model.buffers())
    again = load(blueprint, every, tuned=tuned(blueprint), values=values).eval()
    assert torch.equal(run([(again, every)], given, purpose).hidden, expected)
    trained = {name for name, each in blueprint.model.named_parameters() if each.requires_grad}
    assert trained == tuned(blueprint)


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_what_is_kept_is_not_touched(tiny: dict[str, Path], family: str, purpose: Purpose) -> None:
    shard = beside(tiny[family], purpose)
    blueprint, every = shard.blueprint, range(shard.blueprint.num_layers)
    before = dict(blueprint.model.named_parameters())
    keep = needed(blueprint, every, parts=Parts.SIDE)
    unload(blueprint, keep)
    after = dict(blueprint.model.named_parameters())
    assert before.keys() == after.keys()
    assert {name for name, each in after.items() if not each.is_meta} == keep & after.keys()
    assert all(after[name] is before[name] for name in keep & after.keys())
    buffers = dict(blueprint.model.named_buffers())
    assert {name for name, each in buffers.items() if not each.is_meta} == keep & buffers.keys()
    assert shard.tuned_parameters().keys() == tuned(blueprint)
    assert any(each.is_meta for each in shard.parameters_of(1).values())


def test_tied_weights_stay_tied(tiny: dict[str, Path]) -> None:
    shard = beside(tiny["gpt2"], Purpose.LANGUAGE)
    unload(shard.blueprint, frozenset())
    model = shard.model
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_values_given_are_taken_and_all_others_as_ever(tiny: dict[str, Path]) -> None:
    names = ("side.down.1.weight", "side.backbone.encoder.layer.0.output.dense.bias")
    blueprints = [planned(tiny["bert"], Purpose.CLASSIFICATION) for _ in range(2)]
    shapes = dict(blueprints[0].model.named_parameters())
    given = {name: torch.full(shapes[name].shape, 0.5) for name in names}
    first, second = (
        load(blueprint, range(3), tuned=tuned(blueprint), values=values)
        for blueprint, values in zip(blueprints, ({}, given), strict=True)
    )
    for name, parameter in second.tuned_parameters().items():
        expected = given.get(name, first.tuned_parameters()[name])
        assert torch.equal(parameter, expected), name
        assert parameter.requires_grad
    assert not any(torch.equal(first.tuned_parameters()[name], given[name]) for name in names)


def test_values_of_another_shape_are_refused(tiny: dict[str, Path]) -> None:
    blueprint = planned(tiny["bert"], Purpose.CLASSIFICATION)
    values = {"side.down.1.bias": torch.zeros(3)}
    words = r"side.down.1.bias is \(8,\), the values given are \(3,\)"
    with pytest.raises(ValueError, match=words):
        load(blueprint, [1], tuned=tuned(blueprint), values=values)
