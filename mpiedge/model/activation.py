"""What passes from one layer of a model to the next, and so from stage to stage.

Apart from the layers, because whoever moves it between ranks needs its shape and nothing else.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Activation(NamedTuple):
    """The tensors that cross from layer to layer; empty ones are not used yet, or not any more.

    Gradients flow back through ``hidden`` and ``encoded``, or beside a side network through
    ``side`` and ``encoded_side`` and nothing else.
    """

    mask: Tensor  # [rows, seq] int64: 1 a real token, 0 padding; the decoder's from the bridge on
    hidden: Tensor  # [rows, seq, width]; the logits after the head
    encoded: Tensor  # [rows, source, width] what the encoder made, from the bridge on
    encoded_mask: Tensor  # [rows, source] the encoder's mask, from the bridge on
    side: Tensor  # [rows, seq, width / reduction] the side network's hidden states
    encoded_side: Tensor  # [rows, source, width / reduction] what its encoder made


def entrance(mask: Tensor) -> Activation:
    """What enters layer 0: only which tokens are real."""
    nothing = torch.empty(0, device=mask.device)
    return Activation(mask, nothing, nothing, nothing, nothing, nothing)
