"""Quantised models: which weights, the same on every rank, and near the unquantised ones."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from mpiedge.errors import BadInput
from mpiedge.model.activation import entrance
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.block_codec import INT8
from mpiedge.model.blueprint import open_model
from mpiedge.model.families import FAMILIES
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.quantize import FORMATS, check_frozen
from mpiedge.model.quantized_weight import QuantizedWeight
from mpiedge.model.settings import AdapterSettings, ModelSettings
from mpiedge.model.shard import Shard
from tests.model.rows import LABELS, Batch, batch, entries, run
from tests.models import save_tiny

EVERY = [(family.name, purpose) for family in FAMILIES.values() for purpose in family.heads]
BITS = pytest.mark.parametrize("quantize", ["int8", "int4"])
LORA = AdapterSettings(kind="lora", r=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


def loaded(
    folder: Path,
    purpose: Purpose,
    model: ModelSettings,
    layers: Iterable[int] | None = None,
    adapter: AdapterSettings | None = None,
) -> Shard:
    """Some layers of a model, all if not said which; for evaluation."""
    settings = ModelSettings(name=str(folder), dtype=model.dtype, quantize=model.quantize)
    blueprint = open_model(settings, purpose, LABELS.get(purpose, 0))
    held = range(blueprint.num_layers) if layers is None else layers
    if adapter is None:
        return load(blueprint, held).eval()
    inject(blueprint.model, adapter, blueprint.family.name, blueprint.head_names)
    tuned = tuned_names(blueprint.model, adapter, blueprint.head_names)
    return load(blueprint, held, tuned=tuned).eval()


def bits(quantize: str, dtype: str = "float32") -> ModelSettings:
    return ModelSettings(quantize=quantize, dtype=dtype)


def whole(shard: Shard, given: Batch, purpose: Purpose) -> Tensor:
    return run([(shard, range(shard.blueprint.num_layers))], given, purpose).hidden


def in_full(shard: Shard) -> Shard:
    """The same numbers as plain weights."""
    for module in shard.model.modules():
        weight = module._parameters.get("weight")
        if isinstance(weight, QuantizedWeight):
            module.weight = nn.Parameter(weight.dense(), requires_grad=False)
    return shard


def few(model: nn.Module) -> dict[str, QuantizedWeight]:
    named = model.named_parameters(remove_duplicate=False)
    return {name: each for name, each in named if isinstance(each, QuantizedWeight)}


@BITS
@pytest.mark.parametrize("family", FAMILIES)
def test_linear_layers_of_blocks_and_the_word_embedding_are_quantised(
    tiny: dict[str, Path], family: str, quantize: str
) -> None:
    shard = loaded(tiny[family], Purpose.CLASSIFICATION, bits(quantize))
    blocks = {layer.block for layer in shard.blueprint.anatomy.layers if layer.block}
    linear = {
        f"{block}.{name}.weight"
        for block in blocks
        for name, module in shard.model.get_submodule(block).named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    words = shard.model.get_input_embeddings().weight
    named = shard.model.named_parameters(remove_duplicate=False)
    tied = {name for name, each in named if each is words}
    found = few(shard.model)
    assert found.keys() == linear | tied
    assert {found[name].codes.form for name in linear} == {FORMATS[quantize]}
    assert words.codes.form is INT8
    assert len(linear) >= 8


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart"])
def test_a_tied_output_layer_shares_the_quantised_embedding(
    tiny: dict[str, Path], family: str
) -> None:
    purpose = Purpose.SEQ2SEQ if family in ("t5", "bart") else Purpose.LANGUAGE
    model = loaded(tiny[family], purpose, bits("int4")).model
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert isinstance(model.get_output_embeddings().weight, QuantizedWeight)


def test_an_output_layer_of_its_own_stays_as_it_is(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path, tie_word_embeddings=False)
    model = loaded(folder, Purpose.LANGUAGE, bits("int8")).model
    assert isinstance(model.get_input_embeddings().weight, QuantizedWeight)
    assert not isinstance(model.get_output_embeddings().weight, QuantizedWeight)


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_logits_are_near_those_of_the_full_weights(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given = batch(family)
    full = whole(loaded(tiny[family], purpose, bits("none")), given, purpose)
    apart = [
        float((whole(loaded(tiny[family], purpose, bits(n)), given, purpose) - full).norm())
        for n in ("int8", "int4")
    ]
    # Random weights are the hardest: nothing of what is lost is redundant.
    assert 0 < apart[0] < 0.05 * full.norm()
    assert apart[0] < apart[1] < 0.6 * full.norm()


@BITS
@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_every_cut_gives_exactly_what_the_same_numbers_give_in_full(
    tiny: dict[str, Path], family: str, purpose: Purpose, quantize: str
) -> None:
    model, given = bits(quantize), batch(family)
    expected = whole(in_full(loaded(tiny[family], purpose, model)), given, purpose)
    size = loaded(tiny[family], purpose, model, ()).blueprint.num_layers
    for cut in range(size + 1):
        parts = (range(cut), range(cut, size))
        row = [(loaded(tiny[family], purpose, model, layers), layers) for layers in parts]
        assert torch.equal(run(row, given, purpose).hidden, expected), cut


@BITS
@pytest.mark.parametrize("family", FAMILIES)
def test_any_rank_reads_the_same_codes(tiny: dict[str, Path], family: str, quantize: str) -> None:
    every = loaded(tiny[family], Purpose.CLASSIFICATION, bits(quantize))
    expected, seen = few(every.model), set()
    for layer in range(every.blueprint.num_layers):
        part = few(loaded(tiny[family], Purpose.CLASSIFICATION, bits(quantize), [layer]).model)
        for name, weight in part.items():
            assert torch.equal(weight.codes.codes, expected[name].codes.codes)
            assert torch.equal(weight.codes.scales, expected[name].codes.scales)
        seen |= part.keys()
    assert seen == expected.keys()


@BITS
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_weights_take_the_bytes_that_were_foretold(
    tiny: dict[str, Path], family: str, dtype: str, quantize: str
) -> None:
    shard = loaded(tiny[family], Purpose.CLASSIFICATION, bits(quantize, dtype))
    for layer in range(shard.blueprint.num_layers):
        taken = sum(
            each.codes.nbytes if isinstance(each, QuantizedWeight) else each.nbytes
            for each in shard.parameters_of(layer).values()
        )
        assert shard.blueprint.weight_bytes(layer) == taken


@BITS
@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_get_the_gradients_that_the_same_numbers_give_in_full(
    tiny: dict[str, Path], family: str, kind: str, quantize: str
) -> None:
    adapter = AdapterSettings(kind=kind, r=2, bottleneck=4, placement="houlsby")
    gradients = []
    for change in (lambda shard: shard, in_full):
        shard = loaded(tiny[family], Purpose.CLASSIFICATION, bits(quantize), adapter=adapter)
        assert len(few(shard.model)) >= 8
        gradients.append(of_all_tuned(change(shard), batch(family)))
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name
    assert all("base_layer" not in name for name in gradients[0])


def of_all_tuned(shard: Shard, given: Batch) -> dict[str, Tensor]:
    """The gradients of everything tuned, once it has moved from where it does nothing."""
    tuned = shard.tuned_parameters()
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in tuned.values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    x, layers = entrance(given.mask), range(shard.blueprint.num_layers)
    logits = shard(x, layers, entries(shard, given, Purpose.CLASSIFICATION)).hidden
    logits.square().sum().backward()
    assert all(each.grad is not None for each in tuned.values())
    return {name: each.grad for name, each in tuned.items()}


@BITS
def test_no_plain_weight_waits_for_the_backward_pass(tiny: dict[str, Path], quantize: str) -> None:
    shard = loaded(tiny["llama"], Purpose.CLASSIFICATION, bits(quantize), adapter=LORA)
    shapes = {tuple(each.shape) for each in few(shard.model).values()}
    shapes |= {shape[::-1] for shape in shapes}
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    given = batch("llama")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        rows = entries(shard, given, Purpose.CLASSIFICATION)
        shard(entrance(given.mask), range(shard.blueprint.num_layers), rows)
    waiting = [each for each in kept if tuple(each.shape) in shapes]
    assert waiting
    assert all(isinstance(each, QuantizedWeight) for each in waiting)


@BITS
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_t5_computes_in_the_number_format_asked_for(
    tiny: dict[str, Path], dtype: str, quantize: str
) -> None:
    given = batch("t5")
    shard = loaded(tiny["t5"], Purpose.SEQ2SEQ, bits(quantize, dtype))
    logits = whole(shard, given, Purpose.SEQ2SEQ)
    assert logits.dtype is getattr(torch, dtype)
    assert torch.equal(logits, whole(in_full(shard), given, Purpose.SEQ2SEQ))
    # Where float16 would overflow, float32 stands for the codes.
    wide = [name for name, p in shard.model.named_parameters() if p.dtype is torch.float32]
    assert {".wo." in name for name in wide} == ({True} if dtype == "float16" else set())


def test_trained_weights_stay_as_they_are(tiny: dict[str, Path]) -> None:
    settings = ModelSettings(name=str(tiny["gpt2"]), quantize="int8")
    blueprint = open_model(settings, Purpose.CLASSIFICATION, 3)
    name = "transformer.h.0.mlp.c_fc.weight"
    model = load(blueprint, range(blueprint.num_layers), tuned=frozenset([name])).model
    weight = model.get_parameter(name)
    assert not isinstance(weight, QuantizedWeight)
    assert weight.requires_grad
    assert isinstance(model.get_parameter("transformer.h.1.mlp.c_fc.weight"), QuantizedWeight)


def test_full_fine_tuning_has_nothing_to_quantise() -> None:
    full = AdapterSettings(kind="full")
    with pytest.raises(BadInput, match=r"int4 is for frozen weights, and with adapter.kind = full"):
        check_frozen(ModelSettings(quantize="int4"), full)
    check_frozen(ModelSettings(quantize="none"), full)
    check_frozen(ModelSettings(quantize="int4"), LORA)


def test_other_bits_are_not_known(tiny: dict[str, Path]) -> None:
    settings = ModelSettings(name=str(tiny["bert"]), quantize="int3")
    with pytest.raises(BadInput, match="int3 is not known; choose one of none, int8, int4"):
        open_model(settings, Purpose.CLASSIFICATION, 2)
