"""GPT-2: a decoder with learned positions, whose input and output embeddings are one."""

from typing import Any

from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.attention import causal, fitting, last_real, positions
from mpiedge.model.family import Context, Entry, Family, Head, Stack, Widths
from mpiedge.model.purpose import Purpose


def _enter(backbone: Any, x: Activation, entry: Entry) -> Activation:
    hidden = backbone.wte(entry[0]) + backbone.wpe(positions(x.mask))
    return x._replace(hidden=backbone.drop(hidden))


def _block(block: Any, x: Activation, context: Context) -> Tensor:
    hidden: Tensor = block(x.hidden, attention_mask=context.mask)
    return hidden


def _end(backbone: Any, hidden: Tensor) -> Tensor:
    ended: Tensor = backbone.ln_f(hidden)
    return ended


def _score(model: Any, x: Activation) -> Tensor:
    return last_real(model.score(fitting(x.hidden, model.score)), x.mask)


def _words(model: Any, x: Activation) -> Tensor:
    logits: Tensor = model.lm_head(x.hidden)
    return logits


def _widths(config: Any) -> Widths:
    settings = {"n_embd": int(config.n_embd)}
    if config.n_inner is not None:
        settings["n_inner"] = int(config.n_inner)
    heads = int(config.n_head)
    return Widths(settings, {"n_head": heads}, int(config.n_embd // heads))


_SCORE = Head(("score",), _score, trained=("score",))

GPT2 = Family(
    name="gpt2",
    stacks=(
        Stack(
            entrance=("wte", "wpe"),
            blocks="h",
            enter=_enter,
            prepare=lambda backbone, x: causal(backbone.config, x),
            block=_block,
            causal=True,
            norm="ln_f",
            end=_end,
        ),
    ),
    finish=("ln_f",),
    heads={
        Purpose.CLASSIFICATION: _SCORE,
        Purpose.REGRESSION: _SCORE,
        Purpose.LANGUAGE: Head(("lm_head",), _words),
    },
    spread=lambda config: float(config.initializer_range),
    longest=lambda config: int(config.n_positions),
    widths=_widths,
    dropouts=("resid_pdrop", "embd_pdrop", "attn_pdrop"),
)
