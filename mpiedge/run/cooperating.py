"""Rounds: the server gives out work, clients do it, and the server makes one update of it.

    server    order ->            <- reply   <- reply   update     order ->
    device           [client 1]      [client 2]                          ...

A device that has no client in a round hears nothing of it and sends nothing.  With a deadline the
server goes on without a client that has not answered; its late reply is thrown away when it comes,
and until then it is given no work, unless there are not enough others for all blocks.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from mpiedge.plan.balance import Infeasible
from mpiedge.run.allotting import Allotting, Task, Work
from mpiedge.run.clients import Clients
from mpiedge.run.held_weights import HeldWeights
from mpiedge.run.late_replies import LateReplies
from mpiedge.run.local_work import Done, LocalWork
from mpiedge.run.opening import Opened
from mpiedge.run.orders import Orders
from mpiedge.run.phases import Entered
from mpiedge.strategy.roles import SERVER
from mpiedge.strategy.strategy import Rounds

Heard = Callable[[int, float], None]


class Cooperation:
    """This rank's part of the rounds; on rank 0 the server's too."""

    def __init__(self, opened: Opened, here: Entered, clients: Clients, work: Work) -> None:
        self._opened, self._here, self._settings = opened, here, opened.settings.strategy
        self._local = LocalWork(opened, here, clients, work.micro_batches)
        self._weights = HeldWeights(opened, here)
        self._orders = Orders(opened.transport, self._weights)
        self._late = LateReplies(self._orders, self._settings.round_deadline)
        self.allotting = Allotting(opened, here.phase.rounds, clients.sizes, work)

    def rounds(self, updates: range, heard: Heard) -> None:
        """Make the updates; ``heard`` is told each one's loss on the server."""
        if self._opened.transport.rank != SERVER:
            self._serve()
            self._here.shard.tune(self._opened.tuned)
            return
        for number in updates:
            heard(number, self._round(number))
        self._late.forget()
        for device in self._here.phase.feeders:
            self._orders.end(device.rank)

    def _round(self, number: int) -> float:
        tasks = self._tasks(number)
        start, weights = time.monotonic(), self._weights.flat()
        awaited = []
        for rank in sorted({task.rank for task in tasks} - {SERVER}):
            theirs = [task for task in tasks if task.rank == rank]
            awaited += self._orders.give(rank, theirs, weights)
        done = {task: self._own(task) for task in tasks if task.rank == SERVER}
        done.update(self._late.collected(awaited, start))
        self.allotting.measured(done, time.monotonic() - start)
        return self._merged(number, done)

    def _tasks(self, number: int) -> list[Task]:
        """What there is to do in a round; if that needs those who are late, they are waited for."""
        late = self._late.clients()
        try:
            return self.allotting.tasks(number, late)
        except Infeasible:
            if not late:
                raise
            self._late.forget()
            return self.allotting.tasks(number, frozenset())

    def _serve(self) -> None:
        """Do what the server says, until it says that this part is over."""
        while order := self._orders.had():
            for task, weights in order:
                self._weights.take(weights)
                self._orders.reply(task, self._work(task))

    def _own(self, task: Task) -> Done:
        """The work of a client that is at home on the server, whose weights stay as they are."""
        before = {name: weight.detach().clone() for name, weight in self._weights.named().items()}
        found = self._work(task)
        self._here.shard.tune(self._opened.tuned)
        self._here.update.take({name: (value,) for name, value in before.items()})
        return found

    def _work(self, task: Task) -> Done:
        if self._here.phase.rounds is Rounds.GRADIENTS:
            return self._local.gradient(task.client, task.number, self._weights.names(task))
        steps = self._settings.local_steps
        numbers = range(task.number * steps, (task.number + 1) * steps)
        return self._local.steps(task.client, numbers, task.rounds * steps)

    def _merged(self, number: int, done: dict[Task, Done]) -> float:
        """Update by what has come; the mean loss, each client's counting by its examples."""
        whole = sum(task.examples for task in done)
        if not done:
            return float("nan")
        means = {
            name: _mean(name, done)
            for name in sorted(set().union(*(d.tensors for d in done.values())))
        }
        if self._here.phase.rounds is Rounds.WEIGHTS:
            self._here.update.take({name: (value,) for name, value in means.items()})
        else:
            held = self._weights.named()
            for name, gradient in means.items():
                held[name].grad = gradient.to(held[name].device)
            self._here.update(self.allotting.updated(set(means)), number)
        return sum(task.examples * each.loss for task, each in done.items()) / whole


def _mean(name: str, done: dict[Task, Done]) -> Tensor:
    """The mean of a tensor over the clients that have it, each counting by its examples."""
    having = {task: each.tensors[name] for task, each in done.items() if name in each.tensors}
    whole = sum(task.examples for task in having)
    parts = [task.examples / whole * tensor.double() for task, tensor in having.items()]
    return torch.stack(parts).sum(0).float()
