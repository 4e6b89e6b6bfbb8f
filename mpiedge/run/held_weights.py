"""The tuned weights that this rank holds, by name and as the one vector that messages carry.

Apart from the rounds because a message's layout must be the same on both of its ends.
"""

import torch
from torch import Tensor

from mpiedge.run.allotting import Task
from mpiedge.run.opening import Opened
from mpiedge.run.phases import Entered


class HeldWeights:
    """Access to the weights that are tuned, in the model of this rank's shard."""

    def __init__(self, opened: Opened, here: Entered) -> None:
        self._opened, self._here = opened, here

    def named(self) -> dict[str, torch.nn.Parameter]:
        """All tuned weights."""
        model = self._here.shard.model
        return {name: model.get_parameter(name) for name in self._opened.tuned}

    def flat(self) -> Tensor:
        """All tuned weights as one vector of float32 on the CPU, in the order of their names."""
        held = self.named()
        return flat([held[name].detach().cpu() for name in sorted(held)])

    def take(self, vector: Tensor) -> None:
        """Put the values of a vector as ``flat`` gives it in place of this rank's."""
        held = self.named()
        parts = torch.split(vector, [held[name].numel() for name in sorted(held)])
        with torch.no_grad():
            for name, part in zip(sorted(held), parts, strict=True):
                held[name].copy_(part.view(held[name].shape))

    def names(self, task: Task) -> list[str]:
        """The weights that a task tunes, sorted."""
        layers, places = frozenset(task.layers), self._opened.blueprint.layers_of
        return sorted(n for n in self._opened.tuned if not layers.isdisjoint(places(n)))

    def shapes(self, task: Task) -> dict[str, torch.Size]:
        """The shapes of the weights that a task tunes, sorted by name."""
        held = self.named()
        return {name: held[name].shape for name in self.names(task)}


def flat(tensors: list[Tensor]) -> Tensor:
    """Tensors of any shapes one after the other, as one vector of float32."""
    return torch.cat([tensor.float().flatten() for tensor in tensors])
