"""BART: encoder and decoder with learned positions; its head adds a bias that is no parameter."""

from math import gcd
from typing import Any

from torch import Tensor
from torch.nn.functional import dropout

from mpiedge.model.activation import Activation
from mpiedge.model.attention import decoder, fitting, last_real, whole
from mpiedge.model.family import Context, Entry, Family, Head, Stack, Widths
from mpiedge.model.purpose import Purpose


def _embed(stack: Any, tokens: Tensor) -> Tensor:
    hidden = stack.embed_tokens(tokens) + stack.embed_positions(tokens)
    hidden = stack.layernorm_embedding(hidden)
    return dropout(hidden, p=stack.dropout, training=stack.training)


def _enter(backbone: Any, x: Activation, entry: Entry) -> Activation:
    return x._replace(hidden=_embed(backbone.encoder, entry[0]))


def _bridge(backbone: Any, x: Activation, entry: Entry) -> Activation:
    return x._replace(hidden=_embed(backbone.decoder, entry[0]), encoded=x.hidden)


def _block(block: Any, x: Activation, context: Context) -> Tensor:
    hidden: Tensor = block(x.hidden, attention_mask=context.mask)
    return hidden


def _decoder_block(block: Any, x: Activation, context: Context) -> Tensor:
    hidden: Tensor = block(
        x.hidden,
        attention_mask=context.mask,
        encoder_hidden_states=x.encoded,
        encoder_attention_mask=context.cross,
    )
    return hidden


def _classify(model: Any, x: Activation) -> Tensor:
    hidden = last_real(x.hidden, x.encoded_mask)
    logits: Tensor = model.classification_head(fitting(hidden, model.classification_head))
    return logits


def _words(model: Any, x: Activation) -> Tensor:
    logits: Tensor = model.lm_head(x.hidden) + model.final_logits_bias
    return logits


def _entrance(stack: str) -> tuple[str, ...]:
    parts = ("embed_tokens", "embed_positions", "layernorm_embedding")
    return tuple(f"{stack}.{part}" for part in parts)


def _widths(config: Any) -> Widths:
    settings = {
        "d_model": int(config.d_model),
        "encoder_ffn_dim": int(config.encoder_ffn_dim),
        "decoder_ffn_dim": int(config.decoder_ffn_dim),
    }
    heads = {
        "encoder_attention_heads": int(config.encoder_attention_heads),
        "decoder_attention_heads": int(config.decoder_attention_heads),
    }
    return Widths(settings, heads, gcd(*(int(config.d_model // each) for each in heads.values())))


_CLASSIFY = Head(("classification_head",), _classify, trained=("classification_head",))

BART = Family(
    name="bart",
    stacks=(
        Stack(
            entrance=_entrance("encoder"),
            blocks="encoder.layers",
            enter=_enter,
            prepare=lambda backbone, x: whole(backbone.config, x),
            block=_block,
        ),
        Stack(
            entrance=_entrance("decoder"),
            blocks="decoder.layers",
            enter=_bridge,
            prepare=lambda backbone, x: decoder(backbone.config, x),
            block=_decoder_block,
            causal=True,
        ),
    ),
    finish=(),
    heads={
        Purpose.CLASSIFICATION: _CLASSIFY,
        Purpose.REGRESSION: _CLASSIFY,
        Purpose.SEQ2SEQ: Head(("lm_head", "final_logits_bias"), _words),
    },
    spread=lambda config: float(config.init_std),
    longest=lambda config: int(config.max_position_embeddings),
    widths=_widths,
    dropouts=("dropout", "attention_dropout", "activation_dropout"),
    optional=("final_logits_bias",),
)
