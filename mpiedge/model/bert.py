"""BERT (MiniLM too) and RoBERTa: one encoder, and a head that reads the first token.

They share their blocks; they differ in how positions are numbered, which their own embeddings
know, and in the head: BERT's pooler belongs to the pretrained model, RoBERTa's head is all new.
"""

from typing import Any

from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.attention import fitting, whole
from mpiedge.model.family import Context, Entry, Family, Head, Stack, Widths
from mpiedge.model.purpose import Purpose


def _enter(backbone: Any, x: Activation, entry: Entry) -> Activation:
    tokens, types = entry
    return x._replace(hidden=backbone.embeddings(input_ids=tokens, token_type_ids=types))


def _block(block: Any, x: Activation, context: Context) -> Tensor:
    hidden: Tensor = block(x.hidden, attention_mask=context.mask)
    return hidden


def _bert_logits(model: Any, x: Activation) -> Tensor:
    pooled = model.dropout(model.bert.pooler(x.hidden))
    logits: Tensor = model.classifier(fitting(pooled, model.classifier))
    return logits


def _roberta_logits(model: Any, x: Activation) -> Tensor:
    logits: Tensor = model.classifier(fitting(x.hidden, model.classifier))
    return logits


def _widths(config: Any) -> Widths:
    settings = {
        "hidden_size": int(config.hidden_size),
        "intermediate_size": int(config.intermediate_size),
    }
    heads = int(config.num_attention_heads)
    return Widths(settings, {"num_attention_heads": heads}, int(config.hidden_size // heads))


_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")
_ENCODER = Stack(
    entrance=("embeddings",),
    blocks="encoder.layer",
    enter=_enter,
    prepare=lambda backbone, x: whole(backbone.config, x),
    block=_block,
)
_BERT_HEAD = Head(("classifier",), _bert_logits, trained=("classifier",))
_ROBERTA_HEAD = Head(("classifier",), _roberta_logits, trained=("classifier",))

BERT = Family(
    name="bert",
    stacks=(_ENCODER,),
    finish=("pooler",),
    heads={Purpose.CLASSIFICATION: _BERT_HEAD, Purpose.REGRESSION: _BERT_HEAD},
    spread=lambda config: float(config.initializer_range),
    longest=lambda config: int(config.max_position_embeddings),
    widths=_widths,
    dropouts=_DROPOUTS,
    optional=("bert.pooler",),
    pooling=("bert.pooler",),
)
ROBERTA = Family(
    name="roberta",
    stacks=(_ENCODER,),
    finish=(),
    heads={Purpose.CLASSIFICATION: _ROBERTA_HEAD, Purpose.REGRESSION: _ROBERTA_HEAD},
    spread=lambda config: float(config.initializer_range),
    # Its positions begin after the padding token's number.
    longest=lambda config: int(config.max_position_embeddings - config.pad_token_id - 1),
    widths=_widths,
    dropouts=_DROPOUTS,
)
