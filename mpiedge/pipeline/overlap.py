"""Gradients that are summed while the backward pass that completes them still goes on.

Backward reaches the layer nearest the head first, so the gradients there are whole long before
those of the first layer.  They leave in a few large parts, always in the same order, whatever each
rank's own backward pass reaches first.  Apart from ``sync``, which sums when all is done: only
where every rank has all layers does a backward pass leave the links free.  PyTorch's
DistributedDataParallel (VLDB 2020, arXiv 2006.15704), section 3.2, over our transport.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mpiedge.comm.transport import Transport
from mpiedge.model.shard import Shard
from mpiedge.pipeline.sync import gradient_of, summed_later, trained
from mpiedge.plan.partition import PartitionPlan

PART = 2 << 20
"""Bytes of gradients that leave together at least; one message costs as much as some 10 KB."""

Part = list[nn.Parameter]


@contextmanager
def summing(
    transport: Transport,
    shard: Shard,
    plan: PartitionPlan,
    size: int = PART,
    crossing: torch.dtype | None = None,
) -> Iterator[bool]:
    """Around this rank's last backward pass of a batch; gives whether gradients are summed in it.

    If so they are whole at the end of the block.  Called by all that train, or by none: it depends
    on the plan alone.  They cross in their own number format, or in ``crossing``.  Raises RankLost.
    """
    groups = trained(shard, plan, transport.rank)
    ranks = next(iter(groups)) if len(groups) == 1 else ()
    # Every route of a plan has a micro-batch, so every rank has a last one.
    if len(ranks) < 2 or any(len(route) > 1 for route in plan.routes):
        yield False
        return
    under_way: list[Callable[[], None]] = []
    parts = Parts(
        divided(shard, size),
        lambda part: under_way.append(_sum(transport, part, ranks, crossing)),
    )
    hooks = [
        each.register_post_accumulate_grad_hook(parts.reached)  # type: ignore[no-untyped-call]
        for each in parts.parameters
    ]
    try:
        yield True
        parts.finish()
        for finish in under_way:
            finish()
    finally:
        for hook in hooks:
            hook.remove()


def divided(shard: Shard, size: int) -> list[Part]:
    """The tuned weights in parts of at least ``size`` bytes but the last, from the head down."""
    tuned, layers = shard.tuned_parameters(), shard.blueprint.layers_of
    parts: list[Part] = [[]]
    for name in sorted(tuned, key=lambda name: (-max(layers(name)), name)):
        if sum(each.nbytes for each in parts[-1]) >= size:
            parts.append([])
        parts[-1].append(tuned[name])
    return parts


class Parts:
    """Parts that start in their order, each when the last of its gradients is there."""

    def __init__(self, parts: list[Part], start: Callable[[Part], None]) -> None:
        self._parts, self._start, self._next = parts, start, 0
        self._lacking = [{id(each) for each in part} for part in parts]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of them."""
        return [each for part in self._parts for each in part]

    def reached(self, parameter: Tensor) -> None:
        """A gradient is whole."""
        for lacking in self._lacking[self._next :]:
            lacking.discard(id(parameter))
        while self._next < len(self._parts) and not self._lacking[self._next]:
            self._go_on()

    def finish(self) -> None:
        """Start the rest: what no backward pass has reached counts as zero."""
        while self._next < len(self._parts):
            self._go_on()

    def _go_on(self) -> None:
        self._start(self._parts[self._next])
        self._next += 1


def _sum(
    transport: Transport, part: Part, ranks: tuple[int, ...], crossing: torch.dtype | None
) -> Callable[[], None]:
    """Begin to sum a part's gradients; what is returned waits for them and puts them in place."""
    finish = summed_later(transport, [gradient_of(each) for each in part], ranks, crossing)

    def place() -> None:
        for each, gradient in zip(part, finish(), strict=True):
            each.grad = gradient

    return place
