"""What an engine is given to run: batches under one plan, and where what enters comes from."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from mpiedge.model.backbone import Backbone
from mpiedge.pipeline.recording import Replaying
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.timeline import Action


class MicroBatch(NamedTuple):
    """What enters a route: examples ready for the model."""

    mask: Tensor  # [rows, seq] 1 for a token, 0 for padding
    entries: Mapping[int, tuple[Tensor, ...]]  # layer -> what it takes from outside
    labels: Tensor
    scale: float  # the loss counts as its sum over the micro-batch times this
    hidden: Tensor | None = None  # what enters the route's first layer, where that is no embedding


Source = Callable[[int], MicroBatch]
"""Micro-batch ``number`` of the run; called on a route's first rank."""


Backbones = Callable[[int, range], Backbone]
"""Where the backbone's part of micro-batch ``number`` comes from in a stage of these layers."""


class Portion(NamedTuple):
    """A number of batches to be run under one plan."""

    plan: PartitionPlan
    actions: Sequence[Action]  # this rank's; micro-batches are counted from 0
    first: int  # the number, in the whole run, of micro-batch 0
    source: Source
    backbones: Backbones | None = None  # None: every layer computes
    answers: Source | None = None  # labels, on a route's last rank; None: they come from its first

    @property
    def replays(self) -> bool:
        """Whether every stage has what the backbone makes there: then it need not travel."""
        return isinstance(self.backbones, Replaying)

    def batch(self, index: int) -> int:
        """The number, in the whole run, of the ``index``-th batch."""
        return self.first // len(self.plan.micro_batches) + index
