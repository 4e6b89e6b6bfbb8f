"""How much each token is like another one of its row, seen at the model's full width.

A side network's heads are a few numbers wide, too few to find the tokens of one sentence again in
another; on sentence pairs that is most of what it lacks (see ``docs/pac.md``).  The model's hidden
states have it, and they are at hand in every layer, computed or read back.  Our design.
"""

import torch
from torch import Tensor

_NEVER = -2.0  # less than any cosine


@torch.no_grad()
def likeness(hidden: Tensor, mask: Tensor, causal: bool) -> Tensor:
    """For each token of [rows, seq, width] the largest cosine to another one, [rows, seq, 1].

    What all tokens of a row have in common, their mean, is taken off first; it would make any two
    alike.  Padding, where ``mask`` [rows, seq] is 0, counts for nothing; ``causal``: a token knows
    only those up to itself.  A token that sees no other gets 0.
    """
    states, real = hidden.float(), mask.to(torch.float32).unsqueeze(-1)
    cosines = _up_to_each(states, real) if causal else _of_all(states, real)
    length = hidden.shape[1]
    pairs = torch.ones(length, length, dtype=torch.bool, device=hidden.device)
    seen = pairs.tril(-1) if causal else ~torch.eye(length, dtype=torch.bool, device=hidden.device)
    visible = seen & mask.bool().unsqueeze(1)
    largest = cosines.masked_fill(~visible, _NEVER).amax(-1, keepdim=True)
    return torch.where(largest == _NEVER, torch.zeros_like(largest), largest)


def _of_all(states: Tensor, real: Tensor) -> Tensor:
    """Cosines [rows, seq, seq] about the mean of a row's real tokens."""
    mean = (real.transpose(1, 2) @ states) / real.sum(1, keepdim=True).clamp_min(1)
    away = states - mean
    products = away @ away.transpose(1, 2)
    # One over the lengths; pairs are fewer numbers than states, so it is these that are scaled.
    shorter = products.diagonal(dim1=1, dim2=2).clamp_min(1e-24).rsqrt()
    return products.mul_(shorter.unsqueeze(2)).mul_(shorter.unsqueeze(1))


def _up_to_each(states: Tensor, real: Tensor) -> Tensor:
    """The same, where row ``t`` is about the mean of the tokens up to ``t``."""
    pairs, count = states @ states.transpose(1, 2), real.cumsum(1).clamp_min(1)
    # A mean's products are means of products: [rows, t, j], and with itself [rows, t, 1].
    crossed = (pairs * real).cumsum(1) / count
    middle = (crossed * real.transpose(1, 2)).tril().sum(-1, keepdim=True) / count
    own = crossed.diagonal(dim1=1, dim2=2).unsqueeze(-1)
    products = pairs - own - crossed + middle
    squares = pairs.diagonal(dim1=1, dim2=2).unsqueeze(-1)
    sizes = (squares - 2 * own + middle) * (squares.transpose(1, 2) - 2 * crossed + middle)
    # The first token is its own mean: what is left of it is rounding, and no direction.
    cosines = products / sizes.clamp_min(1e-12).sqrt()
    return torch.where(sizes > 1e-8 * squares * squares.transpose(1, 2), cosines.clamp(-1, 1), 0.0)
