"""Which updates a stage's forward passes wait for, and when each has the weights it needs.

A stage that an update changes waits, before a batch's forward passes, for the update after the
batch before, and where that was made elsewhere for the weights to come.  A frozen stage waits
for nothing.
"""

from bisect import bisect_left
from typing import NamedTuple

from mpiedge.plan.cost import Cost
from mpiedge.plan.partition import PartitionPlan, Stage


class Waiting(NamedTuple):
    """A forward pass that has come to its stage."""

    ready: float
    stage: int  # in its route
    number: int  # of the micro-batch


Update = tuple[int, int]
"""The rank that makes it, and after which batch."""


class Awaited:
    """The updates that were made, and the passes that wait for others."""

    def __init__(self, plan: PartitionPlan, cost: Cost) -> None:
        self._plan, self._cost = plan, cost
        self._ended: dict[Update, float] = {}
        self._waiting: dict[Update, list[Waiting]] = {}
        self._sources: dict[tuple[Stage, int], list[tuple[int, float]]] = {}

    def weights(self, stage: Stage, batch: int, waiting: Waiting) -> float | None:
        """When the weights that a batch needs are there.

        None where an update is still to be made: ``made`` hands ``waiting`` back when it is.
        """
        there = 0.0
        for rank, seconds in self._of(stage, batch - 1) if batch else ():
            update = rank, batch - 1
            if update not in self._ended:
                self._waiting.setdefault(update, []).append(waiting)
                return None
            there = max(there, self._ended[update] + seconds)
        return there

    def made(self, rank: int, batch: int, end: float) -> list[Waiting]:
        """Note the end of an update; the passes that waited for it, which have to ask again."""
        self._ended[rank, batch] = end
        return self._waiting.pop((rank, batch), [])

    def _of(self, stage: Stage, batch: int) -> list[tuple[int, float]]:
        """The ranks whose update after a batch changes a stage, and seconds until it is there."""
        key = stage, batch % self._plan.cycle
        if key not in self._sources:
            trainers = self._plan.batch(batch).trainers
            layers_from: dict[int, list[int]] = {}
            for layer in stage.layers:
                if layer in trainers:
                    ranks = trainers[layer]
                    at = bisect_left(ranks, stage.rank)
                    source = stage.rank if stage.rank in ranks[at : at + 1] else ranks[0]
                    layers_from.setdefault(source, []).append(layer)
            self._sources[key] = [
                (rank, self._cost.travel(rank, stage.rank, layers) if rank != stage.rank else 0.0)
                for rank, layers in layers_from.items()
            ]
        return self._sources[key]
