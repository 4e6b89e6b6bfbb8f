"""What is real after loading, in which number format, and with which first values."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mpiedge.errors import BadInput
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.families import FAMILIES
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from tests.model.rows import LABELS, answer, batch, loaded, opened, reference, run
from tests.models import save_tiny, tiny_model

PURPOSE = {"t5": Purpose.SEQ2SEQ, "bart": Purpose.SEQ2SEQ}
PURPOSE |= {"gpt2": Purpose.LANGUAGE, "llama": Purpose.LANGUAGE}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


def edit(folder: Path, family: str, change: dict[str, torch.Tensor | None]) -> Path:
    """The family's folder with some tensors of the checkpoint replaced, or taken out."""
    path = save_tiny(family, folder) / "model.safetensors"
    tensors = {**load_file(path), **change}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, path, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_held_layers_are_real(tiny: dict[str, Path], family: str) -> None:
    purpose = PURPOSE.get(family, Purpose.CLASSIFICATION)
    size = opened(tiny[family], purpose).num_layers
    for layer in range(size):
        shard = loaded(tiny[family], purpose, [layer])
        real = {name for name, each in shard.model.named_parameters() if not each.is_meta}
        assert real == set(shard.parameters_of(layer)) != set()
        assert all(layer in shard.blueprint.layers_of(name) for name in real)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_of_a_whole_model_stays_on_the_meta_device(
    tiny: dict[str, Path], family: str
) -> None:
    model = loaded(tiny[family], PURPOSE.get(family, Purpose.CLASSIFICATION)).model
    assert not [name for name, each in model.named_parameters() if each.is_meta]
    assert not [name for name, each in model.named_buffers() if each.is_meta]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_model_can_be_used_as_transformers_own(tiny: dict[str, Path], family: str) -> None:
    purpose = PURPOSE.get(family, Purpose.CLASSIFICATION)
    shard, given = loaded(tiny[family], purpose), batch(family)
    expected = answer(reference(tiny[family], purpose, shard), given, purpose)
    assert torch.equal(answer(shard.model, given, purpose), expected)


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart"])
def test_a_tied_weight_is_one_parameter_in_all_its_layers(
    tiny: dict[str, Path], family: str
) -> None:
    shard = loaded(tiny[family], PURPOSE[family])
    last = shard.blueprint.num_layers - 1
    name, word = next(iter(shard.parameters_of(0).items()))
    bridge = () if shard.blueprint.bridge is None else (shard.blueprint.bridge,)
    assert shard.blueprint.layers_of(name) == (0, *bridge, last)
    assert shard.parameters_of(last)[name] is word
    assert shard.model.get_output_embeddings().weight is word
    assert shard.model.get_input_embeddings().weight is word


def test_an_output_layer_of_its_own_is_not_tied(tmp_path: Path) -> None:
    shard = loaded(save_tiny("llama", tmp_path, tie_word_embeddings=False), Purpose.LANGUAGE)
    assert shard.blueprint.layers_of("model.embed_tokens.weight") == (0,)
    assert shard.blueprint.layers_of("lm_head.weight") == (shard.blueprint.num_layers - 1,)
    expected = answer(
        reference(tmp_path, Purpose.LANGUAGE, shard), batch("llama", (5, 5)), Purpose.LANGUAGE
    )
    every = [(shard, range(shard.blueprint.num_layers))]
    assert torch.equal(run(every, batch("llama", (5, 5)), Purpose.LANGUAGE).hidden, expected)


def test_t5_of_the_second_version_does_not_scale_its_output(tmp_path: Path) -> None:
    changes = {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}
    shard = loaded(save_tiny("t5", tmp_path, **changes), Purpose.SEQ2SEQ)
    given, every = batch("t5"), [(shard, range(shard.blueprint.num_layers))]
    expected = answer(reference(tmp_path, Purpose.SEQ2SEQ, shard), given, Purpose.SEQ2SEQ)
    assert not shard.blueprint.config.scale_decoder_outputs
    assert torch.equal(run(every, given, Purpose.SEQ2SEQ).hidden, expected)


def test_barts_bias_of_the_logits_is_read(tmp_path: Path) -> None:
    bias = torch.linspace(-1, 1, 320)[None]
    shard = loaded(edit(tmp_path, "bart", {"final_logits_bias": bias}), Purpose.SEQ2SEQ)
    assert torch.equal(shard.model.final_logits_bias, bias)
    without = loaded(edit(tmp_path, "bart", {"final_logits_bias": None}), Purpose.SEQ2SEQ)
    assert torch.equal(without.model.final_logits_bias, torch.zeros(1, 320))


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    name = "bert.encoder.layer.1.output.dense.weight"
    folder = edit(tmp_path, "bert", {name: None})
    with pytest.raises(BadInput, match=f"the checkpoint has no {name}; copy the model anew"):
        loaded(folder, Purpose.CLASSIFICATION)
    # The rank that does not hold the layer has nothing to complain about.
    assert loaded(folder, Purpose.CLASSIFICATION, [0, 1]).held == {0, 1}


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    folder = edit(tmp_path, "gpt2", {"transformer.ln_f.bias": torch.zeros(7)})
    words = r"transformer.ln_f.bias is \(7,\) in the checkpoint, but \(32,\) by its config.json"
    with pytest.raises(BadInput, match=words):
        loaded(folder, Purpose.LANGUAGE)


def test_a_saved_head_is_read_and_another_tasks_is_not(tmp_path: Path) -> None:
    own = {"classifier.weight": torch.ones(3, 32), "classifier.bias": torch.ones(3)}
    shard = loaded(edit(tmp_path, "bert", {**own}), Purpose.CLASSIFICATION)
    assert shard.model.classifier.weight.eq(1).all()
    other = {"classifier.weight": torch.ones(5, 32), "classifier.bias": torch.ones(5)}
    shard = loaded(edit(tmp_path, "bert", {**other}), Purpose.CLASSIFICATION)
    assert shard.model.classifier.weight.shape == (3, 32)
    assert not shard.model.classifier.weight.eq(1).any()


def test_a_pooler_that_a_checkpoint_lacks_is_drawn(tmp_path: Path) -> None:
    gone = {"bert.pooler.dense.weight": None, "bert.pooler.dense.bias": None}
    shards = [loaded(edit(tmp_path, "bert", {**gone}), Purpose.CLASSIFICATION) for _ in range(2)]
    weights = [shard.model.bert.pooler.dense.weight for shard in shards]
    assert torch.equal(*weights)
    assert 0.01 < weights[0].std() < 0.03


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_head_depends_on_the_seed_only(tiny: dict[str, Path], family: str) -> None:
    blueprints = [opened(tiny[family], Purpose.CLASSIFICATION) for _ in range(3)]
    last = blueprints[0].num_layers - 1
    held = ([last], range(last + 1), [last])
    shards = [
        load(blueprint, layers, seed=seed)
        for blueprint, layers, seed in zip(blueprints, held, (1, 1, 2), strict=True)
    ]
    heads = [
        {name: each for name, each in shard.parameters_of(last).items() if name.startswith(head)}
        for shard in shards
        for head in shard.blueprint.head_names
    ]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    drawn = [name for name in heads[0] if name.endswith("weight")]
    assert drawn
    assert not any(torch.equal(heads[0][name], heads[2][name]) for name in drawn)
    assert all(heads[0][name].eq(0).all() for name in heads[0] if name.endswith("bias"))
    assert len(heads[0][drawn[0]].unique()) > LABELS[Purpose.CLASSIFICATION]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_is_near_full_precision_and_the_head_is_float32(
    tiny: dict[str, Path], family: str, dtype: str
) -> None:
    blueprint = opened(tiny[family], Purpose.CLASSIFICATION, dtype)
    every = range(blueprint.num_layers)
    settings = AdapterSettings()
    inject(blueprint.model, settings, family, blueprint.head_names)
    tuned = tuned_names(blueprint.model, settings, blueprint.head_names)
    shard = load(blueprint, every, tuned=tuned).eval()
    kept = FAMILIES[family].float32 if dtype == "float16" else ()
    for name, each in blueprint.model.named_parameters():
        wide = name in tuned or any(part in name for part in kept)
        assert each.dtype is (torch.float32 if wide else getattr(torch, dtype)), name
        assert each.requires_grad == (name in tuned)
    given = batch(family)
    logits = run([(shard, every)], given, Purpose.CLASSIFICATION).hidden
    full = run(
        [(loaded(tiny[family], Purpose.CLASSIFICATION), every)], given, Purpose.CLASSIFICATION
    )
    assert logits.dtype is torch.float32
    assert torch.allclose(logits, full.hidden, rtol=0, atol=0.05 * float(full.hidden.abs().max()))


@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
def test_adapters_in_the_model_do_not_hide_the_checkpoints_names(
    tiny: dict[str, Path], kind: str
) -> None:
    blueprint = opened(tiny["gpt2"], Purpose.LANGUAGE)
    settings = AdapterSettings(kind=kind)
    inject(blueprint.model, settings, "gpt2", blueprint.head_names)
    tuned = tuned_names(blueprint.model, settings, blueprint.head_names)
    every = range(blueprint.num_layers)
    shard = load(blueprint, every, tuned=tuned).eval()
    assert any(".base_layer." in name for name, _ in blueprint.model.named_parameters())
    assert set(shard.tuned_parameters()) == tuned
    given = batch("gpt2")
    plain = run([(loaded(tiny["gpt2"], Purpose.LANGUAGE), every)], given, Purpose.LANGUAGE)
    assert torch.equal(run([(shard, every)], given, Purpose.LANGUAGE).hidden, plain.hidden)


def test_trained_weights_are_copies_that_leave_the_file_alone(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path)
    before = (folder / "model.safetensors").read_bytes()
    blueprint = opened(folder, Purpose.CLASSIFICATION)
    names = frozenset(name for name, _ in blueprint.model.named_parameters())
    shard = load(blueprint, range(blueprint.num_layers), tuned=names)
    with torch.no_grad():
        for parameter in shard.tuned_parameters().values():
            parameter.zero_()
    assert (folder / "model.safetensors").read_bytes() == before


def test_layers_can_be_loaded_one_after_the_other(tmp_path: Path) -> None:
    blueprint = opened(save_tiny("t5", tmp_path), Purpose.SEQ2SEQ)
    first = load(blueprint, [0, 1])
    word = first.parameters_of(0)["shared.weight"]
    whole = load(blueprint, range(blueprint.num_layers)).eval()
    assert whole.parameters_of(0)["shared.weight"] is word
    given, every = batch("t5"), range(blueprint.num_layers)
    expected = answer(tiny_model("t5"), given, Purpose.SEQ2SEQ)
    assert torch.equal(run([(whole, every)], given, Purpose.SEQ2SEQ).hidden, expected)
