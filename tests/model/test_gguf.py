"""A Llama in llama.cpp's format, written here with the package that llama.cpp itself uses."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model.load import load, open_checkpoint
from mpiedge.model.purpose import Purpose
from tests.model.rows import answer, batch, loaded, opened, run
from tests.models import tiny_model

gguf = pytest.importorskip("gguf")

EIGHT_BITS = gguf.GGMLQuantizationType.Q8_0
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers": "blk",
}
HEADS = {"q_proj": 4, "k_proj": 2}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as a .gguf file, its matrices in eight bits."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    header(writer)
    for name, parameter in tiny_model("llama", intermediate_size=64).named_parameters():
        values = parameter.detach()
        for part, heads in HEADS.items():
            if part in name:
                halves = values.view(heads, 2, -1, values.shape[1])
                values = halves.transpose(1, 2).reshape(values.shape)
        stored = name
        for ours, theirs in NAMES.items():
            stored = stored.replace(ours, theirs)
        kind = EIGHT_BITS if values.dim() == 2 else None
        array = values.numpy() if kind is None else gguf.quantize(values.numpy(), kind)
        writer.add_tensor(stored, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def header(writer: "gguf.GGUFWriter") -> None:
    writer.add_block_count(2)
    writer.add_context_length(160)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(320)


def rounded(model: PreTrainedModel) -> PreTrainedModel:
    """A model whose matrices have the values that eight bits can have."""
    for parameter in model.parameters():
        if parameter.dim() == 2:
            stored = gguf.quantize(parameter.detach().numpy(), EIGHT_BITS)
            parameter.data = torch.from_numpy(gguf.dequantize(stored, EIGHT_BITS))
    return model


def test_every_cut_is_the_model_that_was_written(file: Path) -> None:
    given = batch("llama", lengths=(8, 8))
    expected = answer(rounded(tiny_model("llama", intermediate_size=64)), given, Purpose.LANGUAGE)
    whole = loaded(file, Purpose.LANGUAGE)
    size = whole.blueprint.num_layers
    logits = run([(whole, range(size))], given, Purpose.LANGUAGE).hidden
    assert size == 4
    assert torch.equal(logits, expected)
    for cut in range(1, size):
        parts = (range(cut), range(cut, size))
        halves = [(loaded(file, Purpose.LANGUAGE, part), part) for part in parts]
        assert torch.equal(run(halves, given, Purpose.LANGUAGE).hidden, logits)


def test_only_the_held_layers_tensors_are_dequantised(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def dequantize(data: object, kind: object) -> object:
        read.append(kind)
        return whole(data, kind)

    whole = gguf.dequantize
    monkeypatch.setattr(gguf, "dequantize", dequantize)
    load(opened(file, Purpose.LANGUAGE), [1])
    assert len(read) == 9


def test_names_of_the_file(file: Path) -> None:
    checkpoint = open_checkpoint(opened(file, Purpose.LANGUAGE))
    assert checkpoint.locate(("model.layers.1.mlp.up_proj.weight",)) == "blk.1.ffn_up.weight"
    assert checkpoint.locate(("score.weight",)) is None


def test_a_class_head_is_drawn_over_it(file: Path) -> None:
    shard = loaded(file, Purpose.CLASSIFICATION)
    assert shard.model.score.weight.shape == (3, 32)
    assert shard.model.score.weight.std() > 0


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(BadInput, match="m.gguf cannot be used"):
        opened(tmp_path / "m.gguf", Purpose.LANGUAGE)


def test_without_the_package(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(BadInput, match="needs the package gguf; pip install gguf"):
        opened(file, Purpose.LANGUAGE)
