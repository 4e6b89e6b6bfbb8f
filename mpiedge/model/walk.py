"""One call through some layers of the model itself: its blocks, and what they share.

Masks, rotary positions and T5's position bias are made once a call, and only where a layer is
really computed: a replayed one needs none of it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.family import Context, Entry


class Walk:
    """The model's layers in one call."""

    def __init__(self, blueprint: Blueprint, entries: Mapping[int, Entry]) -> None:
        self._blueprint, self._entries = blueprint, entries
        self._contexts: dict[int, Context] = {}

    def masked(self, layer: int, x: Activation) -> Activation:
        """What enters a layer, with the masks that hold behind it."""
        if layer != self._blueprint.bridge:
            return x
        return x._replace(mask=torch.ones_like(self._entries[layer][0]), encoded_mask=x.mask)

    def compute(self, layer: int, x: Activation) -> Activation:
        """Take ``x``, its masks set, through an entrance or a block."""
        part, model = self._blueprint.anatomy.layers[layer], self._blueprint.model
        assert part.stack is not None
        if part.block is None:
            return part.stack.enter(model.base_model, x, self._entries.get(layer, ()))
        if id(part.stack) not in self._contexts:
            self._contexts[id(part.stack)] = part.stack.prepare(model.base_model, x)
        context = self._contexts[id(part.stack)]
        return x._replace(hidden=part.stack.block(model.get_submodule(part.block), x, context))

    def ended(self, x: Activation) -> Tensor:
        """What the last block made, behind the model's last norm."""
        end = self._blueprint.family.stacks[-1].end
        return end(self._blueprint.model.base_model, x.hidden)

    def judged(self, x: Activation, ended: Tensor) -> Activation:
        """The logits in ``hidden``, of what the last norm left.

        What the head may be given from outside is the positions that count, [rows, length]: then
        there are logits of these alone, in one row.
        """
        head = self._blueprint.head
        for counts in self._entries.get(self._blueprint.num_layers - 1, ()):
            ended = ended[counts].unsqueeze(0)
        return x._replace(hidden=head.logits(self._blueprint.model, x._replace(hidden=ended)))
