"""First values of weights that no checkpoint has: a new head's, an adapter's.

They depend on the seed and the parameter's name and on nothing else, so that any partition of the
model over any number of ranks begins with the same numbers.
"""

import torch
from torch import Tensor

from mpiedge.model.adapter import initialise
from mpiedge.model.draw import generator


def fresh(name: str, shape: torch.Size, seed: int, spread: float) -> Tensor:
    """The first values of a parameter, in float32 on the CPU: biases zero, weights normal."""
    adapter = initialise(name, shape, seed)
    if adapter is not None:
        return adapter
    if name.endswith(".bias"):
        return torch.zeros(shape)
    return torch.empty(shape).normal_(0.0, spread, generator=generator(f"{seed} {name}"))
