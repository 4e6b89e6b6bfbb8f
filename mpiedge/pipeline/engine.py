"""Runs one rank's part of a schedule.

An action is a straight line: receive, compute, send.  The engine decides nothing: which actions
there are and in which order is the schedule's, who the neighbours are is the plan's, and for which
tensors a gradient returns is written on the tensors themselves, which cross the wire with their
``requires_grad``.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.model.activation import Activation
from mpiedge.model.shard import Shard
from mpiedge.plan.partition import PartitionPlan, Route
from mpiedge.plan.timeline import Action, Pass

T = TypeVar("T")
_NOTHING = torch.empty(0)


class MicroBatch(NamedTuple):
    """What enters a route: examples ready for the model."""

    mask: Tensor  # [rows, seq] 1 for a token, 0 for padding
    entries: Mapping[int, tuple[Tensor, ...]]  # layer -> what it takes from outside
    labels: Tensor
    scale: float  # the loss counts as its sum over the micro-batch times this


Source = Callable[[int], MicroBatch]
"""Micro-batch ``number`` of the run; called on a route's first rank."""


class Objective(Protocol):
    """What a route's last rank computes from logits and labels."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum of the losses."""

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What an evaluation keeps of each row: [rows, k]."""


class Monitor(Protocol):
    """Who is told how the work goes."""

    def result(self, number: int, value: Tensor) -> None:
        """A micro-batch came to its route's end: its scaled loss, or what was observed."""

    def acted(self) -> None:
        """An action is done."""


class Portion(NamedTuple):
    """A number of batches to be run under one plan."""

    plan: PartitionPlan
    actions: Sequence[Action]  # this rank's; micro-batches are counted from 0
    first: int  # the number, in the whole run, of micro-batch 0
    source: Source


class Saved(NamedTuple):
    """A micro-batch between its forward and its backward pass at one stage."""

    entered: list[Tensor]  # what came in that gradients are owed for
    left: list[Tensor]  # what went out that gradients will come for, or the loss


Entered = tuple[Activation, dict[int, tuple[Tensor, ...]]]


class Engine:
    """Computes this rank's actions in order, moving micro-batches along their routes."""

    def __init__(
        self,
        transport: Transport,
        shard: Shard,
        objective: Objective,
        update: Callable[[PartitionPlan], None],
        seed: int = 0,
    ) -> None:
        self._transport, self._shard, self._objective = transport, shard, objective
        self._update, self._seed = update, seed
        self._saved: dict[Action, Saved] = {}
        self.busy = 0.0
        """Seconds computed so far, waiting not counted."""

    def run(self, portion: Portion, monitor: Monitor) -> None:
        """Run the actions; returns when every message of theirs has left."""
        self._shard.train(bool(portion.plan.trainers))
        for action in portion.actions:
            if action.which is Pass.FORWARD:
                self._forward(portion, action, monitor)
            elif action.which is Pass.BACKWARD:
                self._backward(portion, action)
            else:
                self._timed(lambda: self._update(portion.plan))
            monitor.acted()
        self._transport.flush()

    def _forward(self, portion: Portion, action: Action, monitor: Monitor) -> None:
        number, route = portion.first + action.number, portion.plan.route(action.number)
        stage = route[action.stage]
        if action.stage == 0:
            x, entries = self._enter(route, portion.source(number), number)
        else:
            x, entries = self._take(route, action.stage, number)
        entered = [tensor for tensor in x if tensor.requires_grad]
        trains = bool(entered or stage.trainable)
        with torch.set_grad_enabled(trains):
            y = self._timed(lambda: self._shard(x, stage.layers, entries, self._seeds(number)))
        if stage is not route[-1]:
            after = action.stage + 1
            tag = Tag(Kind.ACTIVATION, number, after)
            self._transport.send([tensor.cpu() for tensor in y], route[after].rank, tag)
            left = [tensor for tensor in y if tensor.requires_grad]
        else:
            value = self._judge(route, y.hidden, number, bool(portion.plan.trainers))
            left = [value] if trains else []
            monitor.result(number, value.detach())
        if trains:
            self._saved[action] = Saved(entered, left)

    def _enter(self, route: Route, batch: MicroBatch, number: int) -> Entered:
        """Hand a new micro-batch's labels and later entries to the ranks that need them."""
        labels = [batch.labels, torch.tensor(batch.scale, dtype=torch.float64)]
        self._transport.send(labels, route[-1].rank, Tag(Kind.LABELS, number))
        entries = dict(batch.entries)
        for index, stage in enumerate(route[1:], start=1):
            for layer in [layer for layer in entries if layer in stage.layers]:
                tag = Tag(Kind.ENTRY, number, index)
                self._transport.send(entries.pop(layer), stage.rank, tag)
        x = Activation(self._here(batch.mask), _NOTHING, _NOTHING, _NOTHING)
        return x, {layer: self._all_here(entry) for layer, entry in entries.items()}

    def _take(self, route: Route, index: int, number: int) -> Entered:
        """Receive a micro-batch from the stage before, and what its layers take from outside."""
        tag = Tag(Kind.ACTIVATION, number, index)
        x = Activation(*self._all_here(self._transport.recv(route[index - 1].rank, tag)))
        entries = {}
        for layer in self._shard.entry_layers & frozenset(route[index].layers):
            entry = self._transport.recv(route[0].rank, Tag(Kind.ENTRY, number, index))
            entries[layer] = self._all_here(entry)
        return x, entries

    def _judge(self, route: Route, logits: Tensor, number: int, training: bool) -> Tensor:
        """The micro-batch's part of the loss, or in an evaluation what is observed of it."""
        received = self._transport.recv(route[0].rank, Tag(Kind.LABELS, number))
        labels, scale = self._here(received[0]), received[1].item()
        if training:
            return self._timed(lambda: self._objective.loss(logits, labels) * scale)
        with torch.no_grad():
            return self._timed(lambda: self._objective.observe(logits, labels))

    def _backward(self, portion: Portion, action: Action) -> None:
        number, route = portion.first + action.number, portion.plan.route(action.number)
        entered, left = self._saved.pop(action._replace(which=Pass.FORWARD))
        gradients: list[Tensor | None] = [None]
        if action.stage < len(route) - 1:
            tag = Tag(Kind.GRADIENT, number, action.stage)
            received = self._transport.recv(route[action.stage + 1].rank, tag)
            gradients = list(self._all_here(received))
        self._timed(lambda: torch.autograd.backward(left, gradients))
        if entered:
            owed = [torch.zeros_like(t) if t.grad is None else t.grad for t in entered]
            tag = Tag(Kind.GRADIENT, number, action.stage - 1)
            dest = route[action.stage - 1].rank
            self._transport.send([gradient.cpu() for gradient in owed], dest, tag)

    def _seeds(self, number: int) -> Callable[[int], int] | None:
        """Where a layer's dropout starts: the same for any partition of the model."""
        if not self._shard.training:
            return None
        return lambda layer: (self._seed * 1_000_003 + number) * 1_009 + layer

    def _here(self, tensor: Tensor) -> Tensor:
        """The tensor on this rank's device, a leaf that keeps its ``requires_grad``."""
        moved = tensor.to(self._shard.device)
        return moved.detach().requires_grad_(tensor.requires_grad)

    def _all_here(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(self._here(tensor) for tensor in tensors)

    def _timed(self, compute: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = compute()
        self.busy += time.perf_counter() - start
        return result
