"""A model is known whole before anything of it is read."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from mpiedge.errors import BadInput
from mpiedge.model.families import FAMILIES, family_of, head_of
from mpiedge.model.purpose import Purpose
from tests.model.rows import batch, late, loaded, opened
from tests.models import POSITIONS, save_tiny, tiny_model

EVERY = [(family.name, purpose) for family in FAMILIES.values() for purpose in family.heads]
TABLE = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_every_parameter_is_in_a_layer_and_no_layer_is_empty(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    blueprint = opened(tiny[family], purpose)
    names = [name for name, each in blueprint.model.named_parameters() if each.is_meta]
    assert all(blueprint.layers_of(name) for name in names)
    layers = [blueprint.parameters(layer) for layer in range(blueprint.num_layers)]
    assert all(layers)
    assert {name for layer in layers for name in layer} == set(names)
    assert blueprint.num_layers == (8 if blueprint.bridge else 4)
    assert blueprint.bridge == (3 if family in ("t5", "bart") else None)


def test_the_weight_of_layers(tiny: dict[str, Path]) -> None:
    full, half = (
        opened(tiny["bert"], Purpose.CLASSIFICATION, dtype) for dtype in ("float32", "bfloat16")
    )
    embedding = 320 + 160 + 2 + 2
    assert full.weight_bytes(0) == 4 * 32 * embedding
    assert half.weight_bytes(0) == 2 * 32 * embedding
    assert full.weight_bytes(1) == full.weight_bytes(2)


def test_t5s_table_of_positions_is_in_every_block_of_its_stack(tiny: dict[str, Path]) -> None:
    blueprint = opened(tiny["t5"], Purpose.SEQ2SEQ)
    assert blueprint.layers_of(f"encoder.{TABLE}") == (1, 2)
    assert blueprint.layers_of(f"decoder.{TABLE}") == (4, 5, 6)


def test_a_wrapped_weight_is_in_the_layers_of_the_plain_one(tiny: dict[str, Path]) -> None:
    blueprint = opened(tiny["gpt2"], Purpose.LANGUAGE)
    assert blueprint.layers_of("transformer.wte.base_layer.weight") == (0, 3)
    assert blueprint.layers_of("transformer.h.1.attn.c_attn.lora_A.default.weight") == (2,)
    assert blueprint.layers_of("nothing.of.this.model") == ()


def test_block_ten_is_not_block_one(tmp_path: Path) -> None:
    blueprint = opened(save_tiny("bert", tmp_path, blocks=12), Purpose.CLASSIFICATION)
    assert blueprint.layers_of("bert.encoder.layer.10.output.dense.bias") == (11,)
    assert blueprint.layers_of("bert.encoder.layer.1.output.dense.bias") == (2,)


def test_heads_that_are_trained(tiny: dict[str, Path]) -> None:
    heads = {family: opened(tiny[family], Purpose.CLASSIFICATION).head_names for family in FAMILIES}
    assert heads == {
        "bert": ("classifier",),
        "roberta": ("classifier",),
        "gpt2": ("score",),
        "llama": ("score",),
        "t5": ("classification_head",),
        "bart": ("classification_head",),
    }
    assert opened(tiny["gpt2"], Purpose.LANGUAGE).head_names == ()
    assert opened(tiny["t5"], Purpose.SEQ2SEQ).head_names == ()


def test_how_long_rows_can_be(tiny: dict[str, Path]) -> None:
    longest = {family: opened(tiny[family], Purpose.CLASSIFICATION).longest for family in FAMILIES}
    every = dict.fromkeys(FAMILIES, POSITIONS)
    assert longest == {**every, "roberta": POSITIONS - 2, "t5": None}
    for family in ("bert", "roberta", "gpt2", "bart"):
        given = batch(family, lengths=(longest[family],))
        with torch.no_grad():
            logits = tiny_model(family)(given.tokens, attention_mask=given.mask)
        assert logits is not None


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_decoders_first_token_is_transformers_own(tiny: dict[str, Path], family: str) -> None:
    blueprint, given = opened(tiny[family], Purpose.SEQ2SEQ), batch(family)
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny[family])
    expected = model.prepare_decoder_input_ids_from_labels(given.tokens)
    assert torch.equal(late(blueprint, given), expected)
    assert opened(tiny["bert"], Purpose.CLASSIFICATION).decoder_start is None


def test_a_purpose_that_a_family_lacks(tiny: dict[str, Path]) -> None:
    words = "family bert has no head for seq2seq; choose a model of one of t5, bart"
    with pytest.raises(BadInput, match=words):
        opened(tiny["bert"], Purpose.SEQ2SEQ)
    with pytest.raises(
        BadInput, match="no head for language; choose a model of one of gpt2, llama"
    ):
        head_of(FAMILIES["t5"], Purpose.LANGUAGE)


def test_an_unknown_family(tiny: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    words = "is of the family mamba; choose a model of one of bert, roberta, gpt2, llama, t5, bart"
    with pytest.raises(BadInput, match=words):
        opened(tmp_path, Purpose.LANGUAGE)
    with pytest.raises(BadInput, match="unheard-of"):
        family_of("unheard-of", "some/model")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3"])
def test_a_config_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(
        BadInput, match="config.json of .* is damaged or does not give a model_type"
    ):
        opened(tmp_path, Purpose.LANGUAGE)


def test_a_config_with_a_senseless_value(tmp_path: Path) -> None:
    config = {"model_type": "bert", "hidden_size": "wide"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="config.json of .* cannot be used"):
        opened(tmp_path, Purpose.CLASSIFICATION)


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"{tmp_path} has no config.json"):
        opened(tmp_path, Purpose.LANGUAGE)


def test_a_decoder_without_a_first_token(tmp_path: Path) -> None:
    path = save_tiny("t5", tmp_path) / "config.json"
    config = json.loads(path.read_text())
    del config["decoder_start_token_id"]
    path.write_text(json.dumps(config))
    with pytest.raises(BadInput, match="add decoder_start_token_id to its config.json"):
        opened(tmp_path, Purpose.SEQ2SEQ)


def test_a_checkpoint_in_half_precision_is_read_into_the_precision_asked_for(
    tmp_path: Path,
) -> None:
    tiny_model("bert").to(torch.bfloat16).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    model = loaded(tmp_path, Purpose.CLASSIFICATION).model
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32)
    assert {each.dtype for each in model.parameters()} == {torch.float32}
    weight = "bert.encoder.layer.1.output.dense.weight"
    assert torch.equal(model.get_parameter(weight), plain.get_parameter(weight))
    assert torch.get_default_dtype() is torch.float32
