"""Where in a block of each family adapters go.

The names are those of the transformers modules, so a family is one row here.  Blocks differ only
in these names: everything else about adapters is the same for all families.
"""

import re
from typing import NamedTuple

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from mpiedge.errors import BadInput


class Sites(NamedTuple):
    """Patterns of module names in one family."""

    lora: tuple[str, ...]  # what usually gets a low-rank update, as PEFT's target_modules
    feed_forward: str  # the projection that ends a feed-forward part
    attention: str  # the projections that end an attention part
    transposed: bool = False  # linear layers are GPT-2's Conv1D, with weight [in, out]


_BERT = Sites(("query", "value"), r"layer\.\d+\.output\.dense", r"attention\.output\.dense")
SITES = {
    "bert": _BERT,
    "roberta": _BERT,
    "gpt2": Sites(("c_attn",), r"mlp\.c_proj", r"attn\.c_proj", transposed=True),
    "llama": Sites(("q_proj", "v_proj"), r"mlp\.down_proj", r"self_attn\.o_proj"),
    "t5": Sites(
        ("q", "v"),
        r"DenseReluDense\.wo",
        r"(SelfAttention|EncDecAttention)\.o",
    ),
    "bart": Sites(
        ("q_proj", "v_proj"),
        r"(encoder|decoder)\.layers\.\d+\.fc2",
        r"(self_attn|encoder_attn)\.out_proj",
    ),
}


def sites_of(family: str) -> Sites:
    """The sites of a family; an unknown one is the user's mistake."""
    if family not in SITES:
        raise BadInput(
            f"model.name: a model of the family {family} cannot be adapted; "
            f"choose one of {', '.join(SITES)}"
        )
    return SITES[family]


def linear_layers(model: PreTrainedModel, heads: tuple[str, ...]) -> dict[str, nn.Module]:
    """The linear layers that an adapter can sit at, by name: all but the heads."""
    inside = tuple(f"{head}." for head in heads)
    output = model.get_output_embeddings()
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and module is not output
        and not f"{name}.".startswith(inside)
    }


def matching(names: dict[str, nn.Module], pattern: str) -> list[str]:
    """The names that end in a pattern, whole words only."""
    ending = re.compile(rf"(.*\.)?({pattern})")
    return [name for name in names if ending.fullmatch(name)]
