"""Rounds: the server gives out work, clients do it, and the server makes one update of it.

    server    order ->            <- reply   <- reply   update     order ->
    device           [client 1]      [client 2]                          ...

A device that has no client in a round hears nothing of it and sends nothing.  With a deadline the
server goes on without a client that has not answered; its late reply is thrown away when it comes,
and until then it is given no work, unless there are not enough others for all blocks.
"""

import json
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mpiedge.comm.pacing import pieces, send_pieces
from mpiedge.comm.pause import Pause
from mpiedge.comm.transport import Kind, Tag
from mpiedge.plan.balance import Infeasible
from mpiedge.run.allotting import Allotting, Task, Work
from mpiedge.run.clients import Clients
from mpiedge.run.local_work import Done, LocalWork
from mpiedge.run.opening import Opened
from mpiedge.run.phases import Entered
from mpiedge.strategy.roles import SERVER
from mpiedge.strategy.strategy import Rounds

Heard = Callable[[int, float], None]
_REST = 0.01  # seconds between two looks at what has come


class Awaited(NamedTuple):
    """A reply that is to come: whose, and under which number."""

    task: Task
    number: int


class Cooperation:
    """This rank's part of the rounds; on rank 0 the server's too."""

    def __init__(self, opened: Opened, here: Entered, clients: Clients, work: Work) -> None:
        self._opened, self._here = opened, here
        self._transport, self._settings = opened.transport, opened.settings.strategy
        self._local = LocalWork(opened, here, clients, work.micro_batches)
        self.allotting = Allotting(opened, here.phase.rounds, clients.sizes, work)
        self._orders = dict.fromkeys(range(self._transport.size), 0)  # sent to each rank, or had
        self._replies = dict.fromkeys(range(self._transport.size), 0)
        self._late: list[Awaited] = []

    def rounds(self, updates: range, heard: Heard) -> None:
        """Make the updates; ``heard`` is told each one's loss on the server."""
        if self._transport.rank != SERVER:
            self._serve()
            self._here.shard.tune(self._opened.tuned)
            return
        for number in updates:
            heard(number, self._round(number))
        self._forget_late()
        for device in self._here.phase.feeders:
            self._order(device.rank, [], ())

    def _round(self, number: int) -> float:
        tasks = self._tasks(number)
        start, names = time.monotonic(), sorted(self._opened.tuned)
        weights = [_flat([self._weights()[name].detach().cpu() for name in names])]
        awaited = []
        for rank in sorted({task.rank for task in tasks} - {SERVER}):
            awaited += self._order(rank, [task for task in tasks if task.rank == rank], weights)
        done = {task: self._own(task) for task in tasks if task.rank == SERVER}
        done.update(self._collected(awaited, start))
        self.allotting.measured(done, time.monotonic() - start)
        return self._merged(number, done)

    def _tasks(self, number: int) -> list[Task]:
        """What there is to do in a round; if that needs those who are late, they are waited for."""
        self._late = [reply for reply in self._late if self._come(reply) is None]
        try:
            return self.allotting.tasks(number, frozenset(late.task.client for late in self._late))
        except Infeasible:
            if not self._late:
                raise
            self._forget_late()
            return self.allotting.tasks(number, frozenset())

    def _forget_late(self) -> None:
        """Throw away every reply that is late, when it has come."""
        for reply in self._late:
            self._wait(reply)
        self._late.clear()

    def _own(self, task: Task) -> Done:
        """The work of a client that is at home on the server, whose weights stay as they are."""
        before = {name: weight.detach().clone() for name, weight in self._weights().items()}
        found = self._work(task)
        self._here.shard.tune(self._opened.tuned)
        self._here.update.take({name: (value,) for name, value in before.items()})
        return found

    def _work(self, task: Task) -> Done:
        if self._here.phase.rounds is Rounds.GRADIENTS:
            return self._local.gradient(task.client, task.number, self._names(task))
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
            held = self._weights()
            for name, gradient in means.items():
                held[name].grad = gradient.to(held[name].device)
            self._here.update(self.allotting.updated(set(means)), number)
        return sum(task.examples * each.loss for task, each in done.items()) / whole

    def _order(
        self, rank: int, tasks: list[Task], weights: "list[Tensor] | tuple[()]"
    ) -> list[Awaited]:
        """Tell a rank what to do; what is to come of it.  Without tasks: this part is over."""
        content = json.dumps([task._asdict() for task in tasks]).encode()
        words = torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())
        self._transport.send([words, *weights], rank, Tag(Kind.ORDER, self._orders[rank]))
        self._orders[rank] += 1
        found = []
        for task in tasks:
            found.append(Awaited(task, self._replies[rank]))
            self._replies[rank] += 1
        return found

    def _serve(self) -> None:
        """Do what the server says, until it says that this part is over."""
        rank = self._transport.rank
        while True:
            message = self._transport.recv(SERVER, Tag(Kind.ORDER, self._orders[rank]))
            self._orders[rank] += 1
            tasks = [Task(**task) for task in json.loads(message[0].numpy().tobytes())]
            if not tasks:
                return
            for task in tasks:
                self._take(message[1])
                self._reply(task, self._work(task))

    def _reply(self, task: Task, done: Done) -> None:
        rank = self._transport.rank
        facts = torch.tensor([done.loss, done.seconds], dtype=torch.float32)
        flat = _flat([facts, *(done.tensors[name] for name in sorted(done.tensors))])
        tag = Tag(Kind.REPLY, self._replies[rank])
        self._replies[rank] += 1
        send_pieces(self._transport, flat, SERVER, tag, task.rate)

    def _collected(self, awaited: list[Awaited], start: float) -> dict[Task, Done]:
        """The replies as they come, by the deadline; what is not there then is late."""
        deadline, found, pause = self._settings.round_deadline, dict[Task, Done](), Pause(_REST)
        waiting = list(awaited)
        while waiting:
            if not deadline:
                reply = waiting.pop(0)
                found[reply.task] = self._wait(reply)
                continue
            came = {reply: self._come(reply) for reply in waiting}
            found.update({reply.task: done for reply, done in came.items() if done is not None})
            waiting = [reply for reply in waiting if came[reply] is None]
            if waiting and time.monotonic() - start > deadline:
                self._late += waiting
                break
            pause.rest()
        return found

    def _come(self, reply: Awaited) -> Done | None:
        """A reply if all of it is here: its last piece is, and pieces keep their order."""
        last = pieces(self._size(reply.task)) - 1
        tag = Tag(Kind.REPLY, reply.number, last)
        message = self._transport.poll(reply.task.rank, tag)
        return None if message is None else self._read(reply, message[0])

    def _wait(self, reply: Awaited) -> Done:
        last = pieces(self._size(reply.task)) - 1
        (piece,) = self._transport.recv(reply.task.rank, Tag(Kind.REPLY, reply.number, last))
        return self._read(reply, piece)

    def _read(self, reply: Awaited, last: Tensor) -> Done:
        task = reply.task
        before = range(pieces(self._size(task)) - 1)
        tags = (Tag(Kind.REPLY, reply.number, place) for place in before)
        parts = [self._transport.recv(task.rank, tag)[0] for tag in tags]
        flat = torch.cat([*parts, last])
        names = self._names(task)
        shapes = {name: self._weights()[name].shape for name in names}
        sizes = [shapes[name].numel() for name in names]
        facts, *tensors = torch.split(flat, [2, *sizes])
        values = {n: t.view(shapes[n]) for n, t in zip(names, tensors, strict=True)}
        return Done(values, float(facts[0]), float(facts[1]))

    def _size(self, task: Task) -> int:
        """Numbers in a reply."""
        return 2 + sum(self._weights()[name].numel() for name in self._names(task))

    def _names(self, task: Task) -> list[str]:
        """The weights that a task tunes."""
        layers, places = frozenset(task.layers), self._opened.blueprint.layers_of
        return sorted(n for n in self._opened.tuned if not layers.isdisjoint(places(n)))

    def _weights(self) -> dict[str, torch.nn.Parameter]:
        model = self._here.shard.model
        return {name: model.get_parameter(name) for name in self._opened.tuned}

    def _take(self, flat: Tensor) -> None:
        """Put the server's weights in place of this rank's."""
        held = self._weights()
        parts = torch.split(flat, [held[name].numel() for name in sorted(held)])
        with torch.no_grad():
            for name, part in zip(sorted(held), parts, strict=True):
                held[name].copy_(part.view(held[name].shape))


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.float().flatten() for tensor in tensors])


def _mean(name: str, done: dict[Task, Done]) -> Tensor:
    """The mean of a tensor over the clients that have it, each counting by its examples."""
    having = {task: each.tensors[name] for task, each in done.items() if name in each.tensors}
    whole = sum(task.examples for task in having)
    parts = [task.examples / whole * tensor.double() for task, tensor in having.items()]
    return torch.stack(parts).sum(0).float()
