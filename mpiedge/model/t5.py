"""T5: encoder and decoder, each with one table of relative positions for all its blocks.

The table lies in a stack's first block; every rank with a block of that stack holds a copy and
makes the position bias from it.
"""

from typing import Any

from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.attention import decoder, fitting, last_real, whole
from mpiedge.model.family import Context, Entry, Family, Head, Stack, Widths
from mpiedge.model.purpose import Purpose

_TABLE = "block.0.layer.0.SelfAttention.relative_attention_bias"


def _enter(backbone: Any, x: Activation, entry: Entry) -> Activation:
    encoder = backbone.encoder
    return x._replace(hidden=encoder.dropout(encoder.embed_tokens(entry[0])))


def _bridge(backbone: Any, x: Activation, entry: Entry) -> Activation:
    stack = backbone.decoder
    hidden = stack.dropout(stack.embed_tokens(entry[0]))
    return x._replace(hidden=hidden, encoded=_end_encoder(backbone, x.hidden))


def _end_encoder(backbone: Any, hidden: Tensor) -> Tensor:
    ended: Tensor = backbone.encoder.dropout(backbone.encoder.final_layer_norm(hidden))
    return ended


def _end_decoder(backbone: Any, hidden: Tensor) -> Tensor:
    ended: Tensor = backbone.decoder.dropout(backbone.decoder.final_layer_norm(hidden))
    return ended


def _bias(stack: Any, x: Activation) -> Tensor:
    length = x.hidden.shape[1]
    bias: Tensor = stack.block[0].layer[0].SelfAttention.compute_bias(length, length)
    return bias


def _prepare_encoder(backbone: Any, x: Activation) -> Context:
    stack = backbone.encoder
    return whole(stack.config, x)._replace(positions=_bias(stack, x))


def _prepare_decoder(backbone: Any, x: Activation) -> Context:
    stack = backbone.decoder
    return decoder(stack.config, x)._replace(positions=_bias(stack, x))


def _block(block: Any, x: Activation, context: Context) -> Tensor:
    hidden: Tensor = block(x.hidden, attention_mask=context.mask, position_bias=context.positions)[
        0
    ]
    return hidden


def _decoder_block(block: Any, x: Activation, context: Context) -> Tensor:
    hidden: Tensor = block(
        x.hidden,
        attention_mask=context.mask,
        position_bias=context.positions,
        encoder_hidden_states=x.encoded,
        encoder_attention_mask=context.cross,
    )[0]
    return hidden


def _classify(model: Any, x: Activation) -> Tensor:
    hidden = last_real(x.hidden, x.encoded_mask)
    logits: Tensor = model.classification_head(fitting(hidden, model.classification_head))
    return logits


def _words(model: Any, x: Activation) -> Tensor:
    hidden = x.hidden
    if model.config.scale_decoder_outputs:
        hidden = hidden * (model.model_dim**-0.5)
    logits: Tensor = model.lm_head(hidden)
    return logits


def _widths(config: Any) -> Widths:
    settings = {"d_model": int(config.d_model), "d_ff": int(config.d_ff)}
    return Widths(settings, {"num_heads": int(config.num_heads)}, int(config.d_kv), "d_kv")


_CLASSIFY = Head(("classification_head",), _classify, trained=("classification_head",))

T5 = Family(
    name="t5",
    stacks=(
        Stack(
            entrance=("encoder.embed_tokens",),
            blocks="encoder.block",
            enter=_enter,
            prepare=_prepare_encoder,
            block=_block,
            shared=(f"encoder.{_TABLE}",),
            norm="encoder.final_layer_norm",
            end=_end_encoder,
        ),
        Stack(
            entrance=("encoder.final_layer_norm", "decoder.embed_tokens"),
            blocks="decoder.block",
            enter=_bridge,
            prepare=_prepare_decoder,
            block=_decoder_block,
            causal=True,
            shared=(f"decoder.{_TABLE}",),
            norm="decoder.final_layer_norm",
            end=_end_decoder,
        ),
    ),
    finish=("decoder.final_layer_norm",),
    heads={
        Purpose.CLASSIFICATION: _CLASSIFY,
        Purpose.REGRESSION: _CLASSIFY,
        Purpose.SEQ2SEQ: Head(("lm_head",), _words),
    },
    spread=lambda config: float(config.initializer_factor * config.d_model**-0.5),
    longest=lambda config: None,
    widths=_widths,
    dropouts=("dropout_rate",),
    float32=(".wo.",),
)
