"""How much each token is like another one of its row, seen at the model's full width.

A side network's heads are a few numbers wide, too few to find the tokens of one sentence again in
another; on sentence pairs that is most of what it lacks (see ``docs/pac.md``).  The model's hidden
states have it, and they are at hand in every layer, computed or read back.  Our design.
"""

import torch
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def likeness(hidden: Tensor, mask: Tensor, causal: bool) -> Tensor:
    """For each token of [rows, seq, width] the largest cosine to another one, [rows, seq, 1].

    Cosines are those of the features minus their mean.  Padding, where ``mask`` [rows, seq] is 0,
    is like nothing; ``causal``: a token sees only those before it.  A token that sees no other
    gets 0.
    """
    states = hidden.float()
    directions = functional.normalize(states - states.mean(-1, keepdim=True), dim=-1)
    cosines = directions @ directions.transpose(1, 2)
    length = hidden.shape[1]
    seen = torch.ones(length, length, dtype=torch.bool, device=hidden.device)
    seen = seen.tril(-1) if causal else ~torch.eye(length, dtype=torch.bool, device=hidden.device)
    visible = seen & mask.bool().unsqueeze(1)
    largest = cosines.masked_fill(~visible, -2.0).amax(-1, keepdim=True)
    return torch.where(largest < -1.5, torch.zeros_like(largest), largest)
