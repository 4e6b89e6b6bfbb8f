"""Lost activations made again by one rank alone, with no more than one layer in memory.

When a stored record turns out to be damaged, the backbone has long been let go; it is read once
more, layer by layer.  Slow, but it needs nobody else, and disks seldom lie.  Our design.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mpiedge.model.activation import entrance
from mpiedge.model.blueprint import open_model
from mpiedge.model.load import load, unload
from mpiedge.pipeline.feed import entries_of
from mpiedge.run.opening import Opened
from mpiedge.store.cache import ActivationCache
from mpiedge.task.task import Encoded

_TOGETHER = 16  # examples whose activations of all layers are in memory at once


def mend(
    opened: Opened,
    cache: ActivationCache,
    split: Sequence[Encoded],
    lost: Sequence[int],
    layers: range,
) -> None:
    """Record ``layers`` of the examples ``lost`` of a split again, on this rank."""
    for start in range(0, len(lost), _TOGETHER):
        numbers = lost[start : start + _TOGETHER]
        rows = _recomputed(opened, layers, [split[number] for number in numbers])
        for number, hidden in zip(numbers, rows, strict=True):
            masks = [torch.ones(each.shape[:2], dtype=torch.int64) for each in hidden]
            cache.put([number], layers, hidden, masks)
    cache.finish()


@torch.no_grad()
def _recomputed(opened: Opened, layers: range, examples: Sequence[Encoded]) -> list[list[Tensor]]:
    """For each example, alone and so without padding, what the layers make: [1, seq, width]."""
    blueprint = open_model(opened.settings.model, opened.purpose, len(opened.labels) or 1)
    inputs = [opened.task.collate([example]) for example in examples]
    xs = [entrance(each.mask.to(opened.device)) for each in inputs]
    rows: list[list[Tensor]] = [[] for _ in examples]
    for layer in range(layers.stop):
        shard = load(blueprint, [layer], opened.device)
        shard.eval()
        for index, given in enumerate(inputs):
            entries = {
                place: tuple(tensor.to(opened.device) for tensor in entry)
                for place, entry in entries_of(given, blueprint.bridge).items()
            }
            xs[index] = shard(xs[index], range(layer, layer + 1), entries)
            if layer in layers:
                rows[index].append(xs[index].hidden.cpu())
        unload(blueprint, frozenset())
    return rows
