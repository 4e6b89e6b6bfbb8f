"""Which token may see which, where it stands, and which one speaks for its row.

Masks come from transformers' own functions, so that torch's attention takes the same path as in
the whole model.  Positions are counted over real tokens: a row padded on the left gives the logits
of the row padded on the right.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask, create_causal_mask

from mpiedge.model.activation import Activation
from mpiedge.model.family import Context


def whole(config: Any, x: Activation) -> Context:
    """Every token sees every real token."""
    return Context(
        create_bidirectional_mask(config=config, inputs_embeds=x.hidden, attention_mask=x.mask)
    )


def causal(config: Any, x: Activation) -> Context:
    """Every token sees itself and the real tokens before it."""
    # by place: transformers 5.24 calls the last one, the cache, by another name
    return Context(create_causal_mask(config, x.hidden, x.mask, None))


def decoder(config: Any, x: Activation) -> Context:
    """Every token sees the tokens before it, and all real ones of the encoder."""
    cross = create_bidirectional_mask(
        config=config,
        inputs_embeds=x.hidden,
        attention_mask=x.encoded_mask,
        encoder_hidden_states=x.encoded,
    )
    return causal(config, x)._replace(cross=cross)


def positions(mask: Tensor) -> Tensor:
    """The place of each token among the real ones of its row."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


def last_real(rows: Tensor, mask: Tensor) -> Tensor:
    """Of each row what stands at its last real token, padded on either side."""
    places = torch.arange(mask.shape[1], device=mask.device)
    last = (places * mask).argmax(dim=1)
    return rows[torch.arange(len(rows), device=rows.device), last]


def fitting(rows: Tensor, layer: nn.Module) -> Tensor:
    """The rows in the number format of a layer: a trained head is float32 over any backbone."""
    return rows.to(next(layer.parameters()).dtype)
