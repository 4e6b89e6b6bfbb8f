"""Runs one rank's part of a schedule.

An action is a straight line: receive, compute, send.  The engine decides nothing: which actions
there are and in which order is the schedule's, who the neighbours are is the plan's, and for which
tensors a gradient returns is written on the tensors themselves, which cross the wire with their
``requires_grad``.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import zip_longest
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.model.activation import Activation, entrance
from mpiedge.model.shard import Shard
from mpiedge.pipeline.backward import Passes, Whole
from mpiedge.pipeline.judging import Answer, Objective, counted
from mpiedge.pipeline.leave import Leave
from mpiedge.pipeline.portion import Portion
from mpiedge.plan.partition import PartitionPlan, Route, Stage
from mpiedge.plan.timeline import Action, Pass

T = TypeVar("T")


class Monitor(Protocol):
    """Who is told how the work goes."""

    def result(self, number: int, value: Tensor) -> None:
        """A micro-batch came to its route's end: its scaled loss, or what was observed."""

    def acted(self) -> None:
        """An action is done."""


class Tuning(Protocol):
    """What keeps this rank's tuned weights the newest.

    A batch is known by its ``index`` in the plan and by its number in the run.
    """

    def arrive(self, plan: PartitionPlan, index: int, batch: int, stage: Stage) -> None:
        """``stage`` is about to take a micro-batch forward: weights that come have to be there."""

    def closing(self, plan: PartitionPlan, index: int) -> AbstractContextManager[None]:
        """Around the backward pass after which a batch's gradients are whole on this rank."""

    def update(self, plan: PartitionPlan, index: int, batch: int) -> None:
        """A batch's gradients are whole."""


class Saved(NamedTuple):
    """A micro-batch between its forward and its backward pass at one stage."""

    entered: list[Tensor]  # what came in that gradients are owed for
    left: list[Tensor]  # what went out that gradients will come for, or the loss


_NOTHING = torch.empty(0)

Entered = tuple[Activation, dict[int, tuple[Tensor, ...]]]
Watch = Callable[[Portion, Monitor], Monitor]


class Engine:
    """Computes this rank's actions in order, moving micro-batches along their routes."""

    def __init__(
        self,
        transport: Transport,
        shard: Shard,
        objective: Objective,
        tuning: Tuning,
        seed: int = 0,
    ) -> None:
        self._transport, self._shard, self._objective = transport, shard, objective
        self._tuning, self._seed = tuning, seed
        self._saved: dict[Action, Saved] = {}
        self._leave = Leave(transport)
        self.passes: Passes = Whole()
        self.watch: Watch | None = None
        self.busy = 0.0
        """Seconds computed so far, waiting not counted."""

    def run(self, portion: Portion, monitor: Monitor) -> None:
        """Run the actions; returns when every message of theirs has left."""
        monitor = self.watch(portion, monitor) if self.watch else monitor
        self._shard.train(bool(portion.plan.trainers))
        self._shard.still = portion.plan.still
        for action, after in zip_longest(portion.actions, portion.actions[1:]):
            if action.which is Pass.FORWARD:
                self._forward(portion, action, monitor)
            elif action.which is Pass.BACKWARD:
                self._backward(portion, action, after)
            else:
                self._finish(portion, action.number)
            monitor.acted()
        self._leave.settle()
        self._transport.flush()

    def _forward(self, portion: Portion, action: Action, monitor: Monitor) -> None:
        number, route = portion.first + action.number, portion.plan.route(action.number)
        stage, index = route[action.stage], action.number // len(portion.plan.micro_batches)
        self._tuning.arrive(portion.plan, index, portion.batch(index), stage)
        if action.stage == 0:
            x, entries = self._enter(portion, route, number)
        else:
            x, entries = self._take(portion, route, action.stage, number)
        self._transport.telemetry.examples += len(x.mask)
        entered = [tensor for tensor in x if tensor.requires_grad]
        trains = bool(entered or stage.trainable)
        answer = self._answer(portion, route, number) if stage is route[-1] else None
        if answer is not None and portion.plan.trainers:
            answer, positions = counted(self._objective, answer)
            entries = {**entries, stage.layers[-1]: positions} if positions else entries
        backbone = portion.backbones and portion.backbones(number, stage.layers)
        call = (x, stage.layers, entries, self._seeds(number), backbone)
        with torch.set_grad_enabled(trains):
            y = self._timed(lambda: self._shard(*call))
        if answer is None:
            following, tag = route[action.stage + 1], Tag(Kind.ACTIVATION, number, action.stage + 1)
            sent = y._replace(hidden=_NOTHING) if self._bare(portion, following) else y
            if self._one_way(portion, stage, following):
                self._leave.ask(following.rank, tag)
            self._transport.send([tensor.cpu() for tensor in sent], following.rank, tag)
            left = [tensor for tensor in y if tensor.requires_grad]
        else:
            value = self._judge(portion, y.hidden, answer)
            left = [value] if trains else []
            monitor.result(number, value.detach())
        if trains:
            self._saved[action] = Saved(entered, left)

    def _bare(self, portion: Portion, following: Stage) -> bool:
        """Whether a stage can do without what the backbone made before it.

        A head may merge it with what the side network made, and reads back nothing.
        """
        head = self._shard.blueprint.num_layers - 1
        return portion.replays and following.layers.start != head

    def _one_way(self, portion: Portion, stage: Stage, following: Stage) -> bool:
        """Whether no gradient ever comes back that would tell how far the next stage is."""
        return not portion.plan.trainers and stage.rank != following.rank

    def _enter(self, portion: Portion, route: Route, number: int) -> Entered:
        """Hand a new micro-batch's labels and later entries to the ranks that need them."""
        batch = portion.source(number)
        if portion.answers is None:
            labels = [batch.labels, torch.tensor(batch.scale, dtype=torch.float64)]
            self._transport.send(labels, route[-1].rank, Tag(Kind.LABELS, number))
        entries = dict(batch.entries)
        for index, stage in enumerate(route[1:], start=1):
            for layer in [layer for layer in entries if layer in stage.layers]:
                tag = Tag(Kind.ENTRY, number, index)
                self._transport.send(entries.pop(layer), stage.rank, tag)
        x = entrance(self._here(batch.mask))
        if batch.hidden is not None:
            x = x._replace(hidden=self._here(batch.hidden))
        return x, {layer: self._all_here(entry) for layer, entry in entries.items()}

    def _take(self, portion: Portion, route: Route, index: int, number: int) -> Entered:
        """Receive a micro-batch from the stage before, and what its layers take from outside."""
        tag, before = Tag(Kind.ACTIVATION, number, index), route[index - 1]
        x = Activation(*self._all_here(self._awaited(before.rank, tag)))
        if self._one_way(portion, before, route[index]):
            self._leave.give(before.rank, tag)
        entries = {}
        for layer in self._shard.entry_layers & frozenset(route[index].layers):
            entry = self._transport.recv(route[0].rank, Tag(Kind.ENTRY, number, index))
            entries[layer] = self._all_here(entry)
        return x, entries

    def _answer(self, portion: Portion, route: Route, number: int) -> Answer:
        """The micro-batch's labels, on this rank's device."""
        if portion.answers is None:
            received = self._transport.recv(route[0].rank, Tag(Kind.LABELS, number))
            return Answer(self._here(received[0]), received[1].item())
        known = portion.answers(number)
        return Answer(self._here(known.labels), known.scale)

    def _judge(self, portion: Portion, logits: Tensor, answer: Answer) -> Tensor:
        """The micro-batch's part of the loss, or in an evaluation what is observed of it."""
        labels, scale = answer
        if portion.plan.trainers:
            return self._timed(lambda: self._objective.loss(logits, labels) * scale)
        with torch.no_grad():
            return self._timed(lambda: self._objective.observe(logits, labels))

    def _backward(self, portion: Portion, action: Action, after: Action | None) -> None:
        number, route = portion.first + action.number, portion.plan.route(action.number)
        entered, left = self._saved.pop(action._replace(which=Pass.FORWARD))
        gradients: list[Tensor | None] = [None]
        if action.stage < len(route) - 1:
            tag = Tag(Kind.GRADIENT, number, action.stage)
            gradients = list(self._all_here(self._awaited(route[action.stage + 1].rank, tag)))
        index = action.number // len(portion.plan.micro_batches)
        last = after is not None and after.which is Pass.UPDATE
        with self._tuning.closing(portion.plan, index) if last else nullcontext():
            self._timed(lambda: self.passes.make(left, gradients, entered))
        if entered:
            owed = [torch.zeros_like(t) if t.grad is None else t.grad for t in entered]
            dest, tag = route[action.stage - 1].rank, Tag(Kind.GRADIENT, number, action.stage - 1)
            self._transport.send([gradient.cpu() for gradient in owed], dest, tag)

    def _awaited(self, source: int, tag: Tag) -> tuple[Tensor, ...]:
        """A message; while it is not there, parts of backward passes that were left are made."""
        message = self._transport.poll(source, tag)
        while message is None and self._timed(self.passes.one):
            message = self._transport.poll(source, tag)
        return self._transport.recv(source, tag) if message is None else message

    def _finish(self, portion: Portion, index: int) -> None:
        self._timed(self.passes.all)
        self._timed(lambda: self._tuning.update(portion.plan, index, portion.batch(index)))

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
