"""What a side network's blocks are made of, and models that cannot be made narrow."""

from typing import Any

import pytest
import torch
from torch import nn

from mpiedge.errors import BadInput
from mpiedge.model.adapter import inject
from mpiedge.model.families import FAMILIES
from mpiedge.model.narrow import check_reduction, narrowed
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


def small(family: str, reduction: int = 4, dropout: float = 0.0, **changes: Any) -> nn.Module:
    config = tiny_model(family, 1, **changes).config
    with torch.device("meta"):
        return narrowed(config, FAMILIES[family], reduction, dropout)


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
        found: Any = narrowed(config, FAMILIES[family], 2, 0.25)
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
        ("bert", {}, 3, "hidden_size 32, intermediate_size 48 and heads of width 8, of which a "),
        ("bert", {}, 3, "whole number must remain; set it to one of 1, 2, 4, 8$"),
        ("bert", {}, 16, "reduction: 16 does not divide this model, .* one of 1, 2, 4, 8$"),
        ("bert", {"intermediate_size": 36}, 8, "set it to one of 1, 2, 4$"),
        ("llama", {}, 8, "of which an even number must remain; set it to one of 1, 2, 4$"),
        ("t5", {"d_kv": 6}, 4, "d_model 32, d_ff 48, d_kv 6 .* set it to one of 1, 2$"),
        ("bart", {"decoder_attention_heads": 8}, 8, "heads of width 4, .* one of 1, 2, 4$"),
        ("gpt2", {"n_inner": 36}, 8, "n_embd 32, n_inner 36 .* one of 1, 2, 4$"),
    ],
)
def test_a_reduction_that_does_not_divide(
    family: str, changes: dict[str, int], reduction: int, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        small(family, reduction, **changes)


def test_stories_of_260_thousand_parameters_take_2_and_4() -> None:
    """Its heads are 8 wide, its wide space 172."""
    shape = {"hidden_size": 64, "intermediate_size": 172, "num_attention_heads": 8}
    widths = FAMILIES["llama"].widths(tiny_model("llama", 1, **shape).config)
    for reduction in (2, 4):
        check_reduction(widths, reduction)
    with pytest.raises(BadInput, match="reduction: 8 does not divide .* one of 1, 2, 4$"):
        check_reduction(widths, 8)


def test_the_message_comes_before_anything_is_put_into_the_model() -> None:
    model = tiny_model("llama", 1)
    before = dict(model.named_parameters())
    with pytest.raises(BadInput, match="adapter.reduction: 8"):
        inject(model, settings(reduction=8), "llama", ())
    assert dict(model.named_parameters()).keys() == before.keys()


@pytest.mark.parametrize("reduction", [0, -8])
def test_a_reduction_is_at_least_one(reduction: int) -> None:
    with pytest.raises(BadInput, match=f"adapter.reduction: must be at least 1, not {reduction}"):
        inject(tiny_model("bert", 1), settings(reduction=reduction), "bert", ())
