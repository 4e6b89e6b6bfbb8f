"""Backbones that keep what they compute, and backbones that compute nothing.

Both are asked layer by layer for one micro-batch in one stage, as the backbone itself is; the
engine does not know the difference.  PAC (ICPP'24), section 4.2.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.backbone import Backbone, computed
from mpiedge.store.cache import ActivationCache
from mpiedge.store.layout import Layout
from mpiedge.store.prefetch import Replay
from mpiedge.task.sampler import Batch

Numbered = Callable[[int], Batch]
"""The examples of micro-batch ``number``; none where it only fills up a batch."""

Compute = Callable[[], Activation]


class Recording:
    """Computes, and puts every example's activations of a stage into the cache.

    ``targets`` are the tokens of each example's decoder input: a decoder's mask does not tell its
    padding.
    """

    def __init__(self, cache: ActivationCache, targets: Sequence[int], examples: Numbered) -> None:
        self._cache, self._targets, self._examples = cache, targets, examples

    def __call__(self, number: int, layers: range) -> Backbone:
        """A backbone for one micro-batch in a stage of these layers."""
        examples, layout = self._examples(number), self._cache.layout
        kept = range(layers.start, min(layers.stop, layout.layers))
        hidden: list[Tensor] = []
        masks: list[Tensor] = []

        def backbone(layer: int, x: Activation, compute: Compute) -> Activation:
            y = compute()
            hidden.append(y.hidden.detach().cpu())
            decodes = layer >= layout.bridge
            masks.append(_real(examples, self._targets, y.mask) if decodes else y.mask.cpu())
            if layer == kept[-1]:
                self._cache.put(examples, kept, hidden, masks)
            return y

        return backbone if examples and kept else computed


class Replaying:
    """Computes nothing: ``replays`` yields what was kept of each micro-batch, in their order."""

    def __init__(
        self,
        replays: Iterator[Replay],
        layout: Layout,
        targets: Sequence[int],
        examples: Numbered,
    ) -> None:
        self._replays, self._layout = replays, layout
        self._targets, self._examples = targets, examples

    def __call__(self, number: int, layers: range) -> Backbone:
        """A backbone for one micro-batch: the next of which something was kept."""
        examples = self._examples(number)
        if not examples:
            return self._blank
        replay = next(self._replays)

        def backbone(layer: int, x: Activation, compute: Compute) -> Activation:
            decodes = layer >= self._layout.bridge
            mask = _real(examples, self._targets, x.mask) if decodes else x.mask
            return x._replace(hidden=replay.padded(layer, mask).to(x.mask.device))

        return backbone

    def _blank(self, layer: int, x: Activation, compute: Compute) -> Activation:
        """For rows that count nothing."""
        hidden = torch.zeros(*x.mask.shape, self._layout.width, device=x.mask.device)
        return x._replace(hidden=hidden)


def _real(examples: Batch, targets: Sequence[int], mask: Tensor) -> Tensor:
    """A decoder's mask [rows, target] that knows its padding, which is on the right."""
    counts = torch.tensor([targets[i] for i in examples])
    return (torch.arange(mask.shape[1]) < counts[:, None]).long()
