"""GPT-2: a decoder with learned positions, whose input and output embeddings are one."""

from typing import Any

from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.attention import causal, fitting, last_real, positions
from mpiedge.model.family import Context, Entry, Family, Head, Stack
from mpiedge.model.purpose import Purpose


def _enter(backbone: Any, x: Activation, entry: Entry) -> Activation:
    hidden = backbone.wte(entry[0]) + backbone.wpe(positions(x.mask))
    return x._replace(hidden=backbone.drop(hidden))


def _block(block: Any, x: Activation, context: Context) -> Tensor:
    hidden: Tensor = block(x.hidden, attention_mask=context.mask)
    return hidden


def _score(model: Any, x: Activation) -> Tensor:
    hidden = model.transformer.ln_f(x.hidden)
    return last_real(model.score(fitting(hidden, model.score)), x.mask)


def _words(model: Any, x: Activation) -> Tensor:
    logits: Tensor = model.lm_head(model.transformer.ln_f(x.hidden))
    return logits


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
)
