"""What a client does in a round on its device: the gradient of a block, or some steps.

The device has the whole model.  Of a block's gradient nothing below the block is part: only the
block's weights ask for one, so nothing is kept for backward and nothing computed beneath it.
"""

import time
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from torch import Tensor

from mpiedge.pipeline.engine import Engine, Tuning
from mpiedge.pipeline.feed import Feed, shuffled
from mpiedge.pipeline.optimize import Update
from mpiedge.pipeline.portion import MicroBatch, Portion
from mpiedge.pipeline.sync import gradient_of
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import simulate
from mpiedge.run.clients import SEEDS, Clients
from mpiedge.run.opening import Opened
from mpiedge.run.phases import Entered
from mpiedge.task.sampler import Portions


class Done(NamedTuple):
    """What came of a client's work."""

    tensors: dict[str, Tensor]  # gradients or weights, by name
    loss: float  # mean over its batches
    seconds: float  # it took


class LocalWork:
    """The clients on this rank at work, with ``count`` micro-batches to a batch."""

    def __init__(self, opened: Opened, here: Entered, clients: Clients, count: int) -> None:
        self._opened, self._here, self._count = opened, here, count
        self._clients = len(clients.sizes)
        training, self._same = opened.settings.training, opened.settings.strategy.same_batch
        own = {client: 0 if self._same else SEEDS * client for client in clients.examples}
        self._orders = {
            client: shuffled(
                clients.lengths[client], training.batch_size, count, training.seed + own[client]
            )
            for client in clients.examples
        }
        self._feeds = {
            client: Feed(opened.task, examples, opened.blueprint.bridge)
            for client, examples in clients.examples.items()
        }

    def gradient(self, client: int, number: int, names: Collection[str]) -> Done:
        """The gradient of some weights on the client's batch ``number``, and its loss."""
        shard = self._here.shard
        shard.tune(frozenset(names))
        done = self._run(client, range(number, number + 1), _Kept())
        held = shard.tuned_parameters()
        return done._replace(tensors={n: gradient_of(held[n]).cpu().clone() for n in names})

    def steps(self, client: int, numbers: range, total: int) -> Done:
        """All tuned weights after a step on each of the client's batches ``numbers``.

        The optimizer is a new one, with nothing kept of earlier rounds; its learning rate is that
        of a run of ``total`` steps.
        """
        shard, settings = self._here.shard, self._opened.settings.training
        shard.tune(self._opened.tuned)
        update = Update(self._opened.transport, shard, settings, total)
        done = self._run(client, numbers, _Stepping(update, numbers.start))
        held = shard.tuned_parameters()
        return done._replace(tensors={n: held[n].detach().cpu().clone() for n in held})

    def _run(self, client: int, numbers: range, tuning: Tuning) -> Done:
        opened, shard = self._opened, self._here.shard
        engine = Engine(opened.transport, shard, opened.task, tuning, opened.settings.training.seed)
        engine.watch = self._here.engine.watch
        places = {name: opened.blueprint.layers_of(name) for name in shard.tuned}
        tuned = frozenset(layer for layers in places.values() for layer in layers)
        stage = Stage(opened.transport.rank, range(opened.blueprint.num_layers), tuned)
        plan = PartitionPlan(((stage,),), (0,) * self._count)
        actions = simulate(plan, batches=len(numbers)).schedule[stage.rank]
        first, losses = self._first(client, numbers), _Sum()

        def source(number: int) -> MicroBatch:
            batch, index = divmod(number - first, self._count)
            return self._feeds[client].micro_batch(self._batch(client, numbers[batch]), index)

        start = time.perf_counter()
        engine.run(Portion(plan, actions, first, source), losses)
        spent = time.perf_counter() - start
        self._here.engine.busy += engine.busy
        return Done({}, losses.total / len(numbers), spent)

    def _first(self, client: int, numbers: range) -> int:
        """What numbers the micro-batches have, by which dropout is drawn: no two clients' alike."""
        if self._same:
            return numbers.start * self._count
        return (numbers.start * self._clients + client * len(numbers)) * self._count

    def _batch(self, client: int, number: int) -> Portions:
        return self._orders[client].batch(number)


class _Kept:
    """A tuning that leaves gradients where they are."""

    def arrive(self, plan: PartitionPlan, index: int, batch: int, stage: Stage) -> None:
        return

    def closing(self, plan: PartitionPlan, index: int) -> AbstractContextManager[None]:
        return nullcontext()

    def update(self, plan: PartitionPlan, index: int, batch: int) -> None:
        return


class _Stepping(_Kept):
    """A tuning that makes steps ``first`` and on of a run."""

    def __init__(self, update: Update, first: int) -> None:
        self._update, self._first = update, first

    def update(self, plan: PartitionPlan, index: int, batch: int) -> None:
        self._update(plan, self._first + index)


class _Sum:
    """A monitor that adds losses up."""

    def __init__(self) -> None:
        self.total = 0.0

    def result(self, number: int, value: Tensor) -> None:
        self.total += float(value.double().item())

    def acted(self) -> None:
        return
