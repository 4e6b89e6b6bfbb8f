"""What keeps a rank's tuned weights the newest: updates, and weights that come and go.

Where the next batch trains a layer on another rank, because that is where its labels are, the
layer's weights follow, and with them what the optimizer keeps of them: one message from rank to
rank, and none to anybody else.  So RingAda's initiator hands on its head; the message is ours.
"""

from contextlib import AbstractContextManager

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.model.shard import Shard
from mpiedge.pipeline.optimize import Update
from mpiedge.plan.partition import PartitionPlan, Stage, Travel

_TRAVELLING = 1  # the place in a tag, which tells these weights from others


class Turns:
    """One rank's updates, and the weights it takes over and passes on between batches.

    A plan of a longer cycle than one is run for one cycle: after its last batch nothing is passed
    on, since who needs it then is not said.
    """

    def __init__(self, transport: Transport, shard: Shard, update: Update) -> None:
        self._transport, self._shard, self._update = transport, shard, update
        self._came: set[tuple[int, Travel]] = set()

    def arrive(self, plan: PartitionPlan, index: int, batch: int, stage: Stage) -> None:
        """Before a forward pass of ``batch``, the plan's number ``index``: take over what comes."""
        for travel in plan.travels(index - 1) if index else ():
            coming = travel.dest == self._transport.rank == stage.rank
            if coming and not set(stage.layers).isdisjoint(travel.layers):
                self._take(batch, travel)

    def closing(self, plan: PartitionPlan, index: int) -> AbstractContextManager[None]:
        """Around the last backward pass of the plan's batch ``index``."""
        return self._update.closing(plan.batch(index))

    def update(self, plan: PartitionPlan, index: int, batch: int) -> None:
        """Update after ``batch``, and pass on what others need for the next one."""
        self._update(plan.batch(index), batch)
        for travel in plan.travels(index) if index + 1 < plan.cycle else ():
            self._give(batch + 1, travel)

    def cross(self, plan: PartitionPlan, batch: int) -> None:
        """Before ``batch``, with which another part of the same plan begins: pass on and take."""
        travels = plan.travels(batch - 1)
        for travel in travels:
            self._give(batch, travel)
        for travel in travels:
            if travel.dest == self._transport.rank:
                self._take(batch, travel)
        self._transport.flush()

    def _give(self, batch: int, travel: Travel) -> None:
        if travel.source == self._transport.rank:
            state = self._update.state(self._names(travel))
            tensors = [t.detach().cpu() for name in state for t in state[name]]
            self._transport.send(tensors, travel.dest, Tag(Kind.WEIGHTS, batch, _TRAVELLING))

    def _take(self, batch: int, travel: Travel) -> None:
        if (batch, travel) in self._came:
            return
        self._came = {(b, t) for b, t in self._came if b == batch} | {(batch, travel)}
        tensors = self._transport.recv(travel.source, Tag(Kind.WEIGHTS, batch, _TRAVELLING))
        names = self._names(travel)
        each = len(tensors) // len(names)
        self._update.take(
            {name: tensors[i * each : (i + 1) * each] for i, name in enumerate(names)}
        )

    def _names(self, travel: Travel) -> list[str]:
        return sorted({name for layer in travel.layers for name in self._shard.tuned_of(layer)})


class Settled:
    """For work that trains nothing."""

    def arrive(self, plan: PartitionPlan, index: int, batch: int, stage: Stage) -> None:
        """Nothing comes."""

    def closing(self, plan: PartitionPlan, index: int) -> AbstractContextManager[None]:
        """There is no backward pass."""
        raise AssertionError("nothing is trained here")

    def update(self, plan: PartitionPlan, index: int, batch: int) -> None:
        """There is nothing to update."""
        raise AssertionError("nothing is trained here")
