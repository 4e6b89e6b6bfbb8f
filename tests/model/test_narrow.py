"""What a side network's blocks are made of, and models that cannot be made narrow."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig

from mpiedge.errors import BadInput
from mpiedge.model.adapter import inject
from mpiedge.model.families import FAMILIES
from mpiedge.model.narrow import ROOMY, merged_heads, narrowed, shared_out, side_heads
from tests.model.alongside import settings
from tests.models import tiny_model

KEPT = {
    "bert": {"encoder"},
    "roberta": {"encoder"},
    "gpt2": {"h", "ln_f"},
    "llama": {"layers", "norm"},
    "t5": {"encoder", "decoder"},
    "bart": {"encoder", "decoder"},
}


def small(
    family: str, reduction: int = 4, dropout: float = 0.0, heads: int = 0, **changes: Any
) -> nn.Module:
    config = tiny_model(family, 1, **changes).config
    how = settings(reduction=reduction, dropout=dropout, heads=heads)
    with torch.device("meta"):
        return narrowed(config, FAMILIES[family], how)


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_and_last_norms_are_all_there_is(family: str) -> None:
    names = {name for name, _ in small(family).named_parameters()}
    assert {name.partition(".")[0] for name in names} == KEPT[family]
    assert not any("embed" in name or "wte" in name or "shared" in name for name in names)
    stacks = FAMILIES[family].stacks
    norms = [stack.norm for stack in stacks if stack.norm is not None]
    assert all(f"{norm}.weight" in names for norm in norms)
    inside = tuple([f"{stack.blocks}." for stack in stacks] + norms)
    assert all(name.startswith(inside) for name in names)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_models_own_configuration_is_left_alone(family: str) -> None:
    config = tiny_model(family, 1).config
    before = config.to_dict()
    with torch.device("meta"):
        how = settings(reduction=2, dropout=0.25, heads=4)
        found: Any = narrowed(config, FAMILIES[family], how)
    assert config.to_dict() == before
    fields = found.config.to_dict()
    assert {fields[name] for name in FAMILIES[family].dropouts} == {0.25}
    assert found.config.hidden_size == 16
    assert found.config.num_attention_heads == 4


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_everywhere_or_nowhere(family: str) -> None:
    rates = {m.p for m in small(family, dropout=0.25).modules() if isinstance(m, nn.Dropout)}
    assert rates <= {0.25}
    assert {m.p for m in small(family).modules() if isinstance(m, nn.Dropout)} <= {0.0}


def test_gpt2s_wide_space_where_its_configuration_names_it() -> None:
    blocks: Any = small("gpt2", n_inner=48)
    assert blocks.h[0].mlp.c_fc.weight.shape == (8, 12)
    usual: Any = small("gpt2")
    assert usual.h[0].mlp.c_fc.weight.shape == (8, 32)


@pytest.mark.parametrize(
    ("family", "changes", "reduction", "words"),
    [
        ("bert", {}, 3, "hidden_size 32, intermediate_size 48 and num_attention_heads 4 of width "),
        ("bert", {}, 3, "of width 8; set it to one of 1, 2, 4, 8, 16$"),
        ("bert", {}, 32, "reduction: 32 does not divide this model, .* one of 1, 2, 4, 8, 16$"),
        ("bert", {"intermediate_size": 36}, 8, "set it to one of 1, 2, 4$"),
        ("llama", {}, 16, "of which an even number must remain; set it to one of 1, 2, 4, 8$"),
        ("t5", {"d_kv": 6}, 16, "num_heads 4 of width 6; set it to one of 1, 2, 4, 8$"),
        (
            "bart",
            {"decoder_attention_heads": 8},
            32,
            "of width 4; set it to one of 1, 2, 4, 8, 16$",
        ),
        ("gpt2", {"n_inner": 36}, 8, "n_embd 32, n_inner 36 .* one of 1, 2, 4$"),
    ],
)
def test_a_reduction_that_does_not_divide(
    family: str, changes: dict[str, int], reduction: int, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        small(family, reduction, **changes)


def test_stories_of_260_thousand_parameters_take_2_and_4() -> None:
    """Its heads are 8 wide, its wide space 172; keys have 4 heads, so at most 4 become one."""
    shape = {"hidden_size": 64, "intermediate_size": 172, "num_attention_heads": 8}
    widths = FAMILIES["llama"].widths(tiny_model("llama", 1, **shape).config)
    assert [merged_heads(widths, reduction, 0) for reduction in (2, 4)] == [2, 2]
    with pytest.raises(BadInput, match="reduction: 8 does not divide .* one of 1, 2, 4$"):
        merged_heads(widths, 8, 0)


def test_the_message_comes_before_anything_is_put_into_the_model() -> None:
    model = tiny_model("llama", 1)
    before = dict(model.named_parameters())
    with pytest.raises(BadInput, match="adapter.reduction: 16"):
        inject(model, settings(reduction=16), "llama", ())
    assert dict(model.named_parameters()).keys() == before.keys()


@pytest.mark.parametrize("reduction", [0, -8])
def test_a_reduction_is_at_least_one(reduction: int) -> None:
    with pytest.raises(BadInput, match=f"adapter.reduction: must be at least 1, not {reduction}"):
        inject(tiny_model("bert", 1), settings(reduction=reduction), "bert", ())


# One of Llama's cannot be: its keys have two.
@pytest.mark.parametrize(
    ("family", "heads"),
    [(name, heads) for name in FAMILIES for heads in (1, 2, 4) if (name, heads) != ("llama", 1)],
)
def test_fewer_heads_change_no_weights_shape(family: str, heads: int) -> None:
    as_many, fewer = small(family, heads=4), small(family, heads=heads)
    tables = {"relative_attention_bias"} if family == "t5" else set()
    shapes = [
        {
            name: each.shape
            for name, each in found.named_parameters()
            if not tables & {*name.split(".")}
        }
        for found in (as_many, fewer)
    ]
    assert shapes[0] == shapes[1]
    widths = FAMILIES[family].widths(fewer.config)
    assert next(iter(widths.heads.values())) == heads
    assert widths.head == 8 // heads


def test_llamas_heads_of_keys_become_fewer_with_those_of_queries() -> None:
    found: Any = small("llama", heads=2)
    attention = found.layers[0].self_attn
    assert (found.config.num_attention_heads, found.config.num_key_value_heads) == (2, 1)
    assert (attention.head_dim, attention.num_key_value_groups) == (4, 2)
    assert attention.k_proj.weight.shape == (4, 8)
    # Positions turn a wider head, in as many pairs as that has.
    assert found.rotary_emb.inv_freq.shape == (2,)


def test_unequal_numbers_in_encoder_and_decoder_shrink_alike() -> None:
    found: Any = small("bart", heads=2, decoder_attention_heads=8)
    assert (found.config.encoder_attention_heads, found.config.decoder_attention_heads) == (2, 4)


@pytest.mark.parametrize(
    ("family", "changes", "reduction", "heads", "words"),
    [
        ("bert", {}, 4, 3, "a side network of 3 heads .* set it to one of 4, 2, 1, or to 0"),
        (
            "bert",
            {},
            16,
            4,
            "4 of width 8, with adapter.reduction 16; set it to one of 2, 1, or to 0",
        ),
        ("llama", {}, 4, 1, "num_key_value_heads 2 of width 8, .* one of 4, 2, or to 0$"),
        ("bert", {}, 4, 8, "one of 4, 2, 1, or to 0$"),
        ("bert", {}, 4, -1, "one of 4, 2, 1, or to 0$"),
    ],
)
def test_heads_that_cannot_be(
    family: str, changes: dict[str, int], reduction: int, heads: int, words: str
) -> None:
    with pytest.raises(BadInput, match=f"^adapter.heads: .*({words})"):
        small(family, reduction, heads=heads, **changes)


def test_a_reduction_that_divides_no_head_but_several_together() -> None:
    found: Any = small("bert", 16)
    assert found.config.hidden_size == 2
    assert found.config.num_attention_heads == 1


@pytest.mark.parametrize(
    ("width", "heads", "reduction", "chosen"),
    # MiniLM, BERT-base, one with heads of 128, one that is too small for any to be wide enough.
    [(384, 12, 8, 3), (768, 12, 8, 6), (4096, 32, 8, 32), (64, 4, 8, 1)],
)
def test_left_open_a_head_is_as_wide_as_a_processors_vector(
    width: int, heads: int, reduction: int, chosen: int
) -> None:
    config = BertConfig(
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        num_hidden_layers=1,
    )
    widths = FAMILIES["bert"].widths(config)
    assert side_heads(widths, reduction, 0) == chosen
    wide = width // reduction // chosen
    assert wide >= ROOMY or chosen == 1
    narrower = [n for n in range(chosen + 1, heads + 1) if heads % n == 0]
    assert all(width // reduction // n < ROOMY for n in narrower)


def test_a_table_is_shared_out_among_fewer_heads() -> None:
    table = torch.tensor([[1.0, 3.0, 5.0, 9.0], [0.0, 2.0, 4.0, 8.0]])
    assert shared_out(table, 2).tolist() == [[2.0, 7.0], [1.0, 6.0]]
    assert torch.equal(shared_out(table, 4), table)
    assert shared_out(table, 3) is table
