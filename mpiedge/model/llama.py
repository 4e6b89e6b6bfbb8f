"""Llama (SmolLM2 too): a decoder with rotary positions, which every rank with a block computes."""

from typing import Any

from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.attention import causal, fitting, last_real, positions
from mpiedge.model.family import Context, Entry, Family, Head, Stack, Widths
from mpiedge.model.purpose import Purpose


def _enter(backbone: Any, x: Activation, entry: Entry) -> Activation:
    return x._replace(hidden=backbone.embed_tokens(entry[0]))


def _prepare(backbone: Any, x: Activation) -> Context:
    rotary = backbone.rotary_emb(x.hidden, position_ids=positions(x.mask))
    return causal(backbone.config, x)._replace(positions=rotary)


def _block(block: Any, x: Activation, context: Context) -> Tensor:
    hidden: Tensor = block(
        x.hidden, attention_mask=context.mask, position_embeddings=context.positions
    )
    return hidden


def _end(backbone: Any, hidden: Tensor) -> Tensor:
    ended: Tensor = backbone.norm(hidden)
    return ended


def _score(model: Any, x: Activation) -> Tensor:
    return last_real(model.score(fitting(x.hidden, model.score)), x.mask)


def _words(model: Any, x: Activation) -> Tensor:
    logits: Tensor = model.lm_head(x.hidden)
    return logits


def _widths(config: Any) -> Widths:
    settings = {
        "hidden_size": int(config.hidden_size),
        "intermediate_size": int(config.intermediate_size),
    }
    heads = {
        "num_attention_heads": int(config.num_attention_heads),
        "num_key_value_heads": int(config.num_key_value_heads),
    }
    return Widths(settings, heads, int(config.head_dim), "head_dim", rotary=True)


_SCORE = Head(("score",), _score, trained=("score",))

LLAMA = Family(
    name="llama",
    stacks=(
        Stack(
            entrance=("embed_tokens",),
            blocks="layers",
            enter=_enter,
            prepare=_prepare,
            block=_block,
            causal=True,
            shared=("rotary_emb",),
            norm="norm",
            end=_end,
        ),
    ),
    finish=("norm",),
    heads={
        Purpose.CLASSIFICATION: _SCORE,
        Purpose.REGRESSION: _SCORE,
        Purpose.LANGUAGE: Head(("lm_head",), _words),
    },
    spread=lambda config: float(config.initializer_range),
    longest=lambda config: int(config.max_position_embeddings),
    widths=_widths,
    dropouts=("attention_dropout",),
)
