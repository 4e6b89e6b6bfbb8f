"""Seconds of what a shard does, as it is in a run: with its weights seldom in the caches.

Timed again and again a layer finds its weights in the processor's caches, where in a run all other
layers come in between.
"""

import time
from collections.abc import Callable
from statistics import median

import torch

from mpiedge.model.shard import Shard

_RUNS = 9  # of which the median counts, after one that does not
_BETWEEN = 64 * 2**20  # bytes, more than a processor's caches hold


class Stopwatch:
    """Goes through as many bytes as the model's other weights have before each run."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        blueprint = shard.blueprint
        # An embedding is looked up here and there.
        layers = set(range(blueprint.num_layers)) - set(blueprint.anatomy.entrances)
        size = min(sum(map(blueprint.weight_bytes, layers)), _BETWEEN)
        self._between = torch.zeros(size, dtype=torch.uint8, device=shard.device)

    def seconds(self, work: Callable[[], object], *, model: bool = True) -> float:
        """The median of some runs; a device that works beside the program is waited for.

        ``model`` is whether the model is used between two of them, and not what is tuned alone.
        """
        found = []
        for _ in range(1 + _RUNS):
            if model:
                self._between.add_(1)
            self._wait()
            start = time.perf_counter()
            work()
            self._wait()
            found.append(time.perf_counter() - start)
            self.shard.zero_grad(set_to_none=True)
        return median(found[1:])

    def _wait(self) -> None:
        if self.shard.device.type == "cuda":
            torch.cuda.synchronize(self.shard.device)
