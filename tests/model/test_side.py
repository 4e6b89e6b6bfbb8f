"""The side network: its size, its layers, and its first values."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BartConfig,
    PretrainedConfig,
    T5Config,
)

from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.anatomy import SIDE
from mpiedge.model.families import FAMILIES
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.side import copies
from tests.model.alongside import beside, planned, settings, side, tuned
from tests.models import save_tiny, tiny_model

LAST = [(family, list(FAMILIES[family].heads)[-1]) for family in FAMILIES]
GIB = 1 << 30
T5_BASE = T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
T5_LARGE = T5Config(d_model=1024, d_kv=64, d_ff=4096, num_layers=24, num_heads=16)
BART_LARGE = BartConfig(d_model=1024, encoder_layers=12, decoder_layers=12)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


def counted(config: PretrainedConfig, heads: int) -> dict[str, int]:
    """How many numbers the published count has, by name: gates are trained beside it."""
    with torch.device("meta"):
        model = AutoModelForSeq2SeqLM.from_config(config)
    how = settings(reduction=8, heads=heads)
    inject(model, how, config.model_type, ())
    names = tuned_names(model, how, ())
    sizes = {name: each.numel() for name, each in model.named_parameters() if name in names}
    assert all(name.startswith(SIDE) for name in sizes)
    gates = [sizes.pop(name) for name in list(sizes) if name.startswith("side.gate.")]
    assert gates == [1] * (config.num_hidden_layers + config.to_dict()[decoder_layers(config)])
    return sizes


def test_likeness_adds_a_direction_a_layer() -> None:
    with torch.device("meta"):
        model = AutoModelForSeq2SeqLM.from_config(T5_BASE)
    inject(model, settings(reduction=8, likeness=True), T5_BASE.model_type, ())
    told = [p.numel() for name, p in model.named_parameters() if name.startswith("side.like.")]
    assert told == [96] * 26


def decoder_layers(config: PretrainedConfig) -> str:
    return "num_decoder_layers" if config.model_type == "t5" else "decoder_layers"


@pytest.mark.parametrize("heads", ["published", "chosen"])
@pytest.mark.parametrize(
    ("config", "expected", "gib"),
    [(T5_BASE, 5_096_448, 0.01899), (T5_LARGE, 17_717_760, 0.06600)],
    ids=["t5-base", "t5-large"],
)
def test_as_many_parameters_as_published(
    config: T5Config, expected: int, gib: float, heads: str
) -> None:
    total = sum(counted(config, config.num_heads if heads == "published" else 0).values())
    assert total == expected
    assert round(4 * total / GIB, 5) == gib


def test_bart_has_as_many_as_the_formula_and_its_biases_as_the_chart() -> None:
    sizes = counted(BART_LARGE, 16)
    assert sizes == counted(BART_LARGE, 0)
    biases = {n for n in sizes if n.startswith("side.backbone.") and n.endswith(".bias")}
    assert sum(size for name, size in sizes.items() if name not in biases) == 9_056_256
    assert round(4 * sum(sizes.values()) / GIB, 4) == 0.0339


@pytest.mark.parametrize("family", FAMILIES)
def test_every_width_is_a_fraction_and_heads_stay_as_many(
    tiny: dict[str, Path], family: str
) -> None:
    purpose = next(iter(FAMILIES[family].heads))
    blueprint = planned(tiny[family], purpose, heads=4)
    whole = {name: each.shape for name, each in blueprint.model.named_parameters()}
    prefix = blueprint.anatomy.prefix
    found = 0
    for name, shape in whole.items():
        if not name.startswith("side.backbone.") or name in copies(blueprint.model):
            continue
        found += 1
        wide = whole[prefix + name.removeprefix("side.backbone.")]
        assert [4 * size for size in shape] == list(wide), name
    assert found > 10
    wide, small = (
        FAMILIES[family].widths(each)
        for each in (blueprint.config, side(blueprint.model).backbone.config)
    )
    assert wide.settings == {name: 4 * width for name, width in small.settings.items()}
    assert wide.head == 8 == 4 * small.head
    assert wide.heads == small.heads


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_what_is_trained_is_the_side_network_and_the_head(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    blueprint = planned(tiny[family], purpose)
    trained = {name for name, each in blueprint.model.named_parameters() if each.requires_grad}
    heads = tuple(f"{head}." for head in blueprint.head_names)
    assert trained == tuned(blueprint)
    assert all(name.startswith((SIDE, *heads)) for name in trained)
    frozen = {name for name, _ in blueprint.model.named_parameters() if name.startswith(SIDE)}
    tables = 2 if family == "t5" else 0
    assert frozen - trained == copies(blueprint.model)
    assert len(copies(blueprint.model)) == tables


def test_t5s_tables_of_positions_are_the_models_own(tiny: dict[str, Path]) -> None:
    shard = beside(tiny["t5"], Purpose.SEQ2SEQ, heads=4)
    for name in copies(shard.model):
        own = shard.model.get_parameter(name.removeprefix("side.backbone."))
        copy = shard.model.get_parameter(name)
        assert torch.equal(copy, own)
        assert copy is not own
        assert not copy.requires_grad


@pytest.mark.parametrize("layers", [range(8), range(2)])
def test_fewer_heads_have_the_mean_of_their_columns(tiny: dict[str, Path], layers: range) -> None:
    shard = beside(tiny["t5"], Purpose.SEQ2SEQ, layers)
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny["t5"])
    held = [name for name in copies(shard.model) if not shard.model.get_parameter(name).is_meta]
    assert len(held) == (2 if len(layers) > 2 else 1)
    for name in held:
        own = model.get_parameter(name.removeprefix("side.backbone."))
        halves = [own[:, :2].mean(1), own[:, 2:].mean(1)]
        torch.testing.assert_close(shard.model.get_parameter(name), torch.stack(halves, 1))


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("side.down.0.weight", (0,)),
        ("side.down.3.bias", (3,)),
        ("side.gate.2", (2,)),
        ("side.up.weight", (7,)),
        ("side.merge.gate", (7,)),
        ("side.backbone.encoder.block.1.layer.0.layer_norm.weight", (2,)),
        ("side.backbone.encoder.final_layer_norm.weight", (3,)),
        ("side.backbone.decoder.block.0.layer.2.DenseReluDense.wi.weight", (4,)),
        ("side.backbone.decoder.final_layer_norm.weight", (7,)),
        (
            "side.backbone.decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            (4, 5, 6),
        ),
    ],
)
def test_layers_of_names(tiny: dict[str, Path], name: str, layers: tuple[int, ...]) -> None:
    blueprint = planned(tiny["t5"], Purpose.SEQ2SEQ, merge="gate")
    assert name in dict(blueprint.model.named_parameters())
    assert blueprint.layers_of(name) == layers


def test_a_norm_of_its_own_where_blocks_end_in_one(tiny: dict[str, Path]) -> None:
    bart = planned(tiny["bart"], Purpose.SEQ2SEQ)
    assert set(side(bart.model).norm) == {"3", "7"}
    assert bart.layers_of("side.norm.3.weight") == (3,)
    assert bart.layers_of("side.norm.7.weight") == (7,)
    assert set(side(planned(tiny["roberta"], Purpose.REGRESSION).model).norm) == {"3"}
    assert set(side(planned(tiny["llama"], Purpose.LANGUAGE).model).norm) == set()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_layer_brings_its_part_of_the_side_network(tiny: dict[str, Path], family: str) -> None:
    purpose = list(FAMILIES[family].heads)[-1]
    blueprint = planned(tiny[family], purpose)
    last = blueprint.num_layers - 1
    for layer in range(last):
        mine = {n for n in blueprint.parameters(layer) if n.startswith("side.")}
        assert {f"side.down.{layer}.weight", f"side.down.{layer}.bias"} <= mine
        assert (f"side.gate.{layer}" in mine) == (layer not in blueprint.anatomy.entrances)
    assert {"side.up.weight", "side.up.bias"} <= blueprint.parameters(last).keys()
    every = {n for n, _ in blueprint.model.named_parameters() if n.startswith("side.")}
    assert all(blueprint.layers_of(name) for name in every)


@pytest.mark.parametrize("family", FAMILIES)
def test_first_values_are_a_linear_layers_and_depend_on_seed_and_name(
    tiny: dict[str, Path], family: str
) -> None:
    purpose = list(FAMILIES[family].heads)[-1]
    first = []
    for seed in (1, 1, 2):
        blueprint = planned(tiny[family], purpose)
        load(blueprint, range(blueprint.num_layers), tuned=tuned(blueprint), seed=seed)
        first.append({n: p.detach() for n, p in side(blueprint.model).named_parameters()})
        torch.rand(3)
    for name, value in first[0].items():
        drawn = value.dim() > 1 and SIDE + name not in copies(blueprint.model)
        assert torch.equal(value, first[1][name])
        assert torch.equal(value, first[2][name]) == (not drawn), name
        if drawn:
            fan_in = value.shape[0 if "c_" in name else 1]
            assert 0.8 * fan_in**-0.5 < float(value.max()) <= fan_in**-0.5, name
        elif "norm" in name.lower() or "ln_" in name:
            assert value.eq(0 if name.endswith("bias") else 1).all()
        elif value.dim() == 1:
            assert value.eq(0).all(), name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_with_storage_gets_a_side_network_with_storage(family: str) -> None:
    config = tiny_model(family).config
    config.num_labels, config.pad_token_id = 3, config.pad_token_id or 0
    model = AutoModelForSequenceClassification.from_config(config).eval()
    inject(model, settings(), family, ())
    assert not any(each.is_meta for each in (*model.parameters(), *model.buffers()))
    assert not any(module.training for module in model.modules())
    for name in copies(model):
        plain = model.base_model.get_parameter(name.removeprefix("side.backbone."))
        expected = torch.stack([plain[:, :2].mean(1), plain[:, 2:].mean(1)], 1)
        torch.testing.assert_close(model.get_parameter(name), expected)
