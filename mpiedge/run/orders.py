"""The messages of the rounds: an order says what to do and with which weights, a reply what came.

Orders and replies are numbered by rank, each kind from zero, so that a reply that comes late is
never taken for another.  A reply travels in pieces, that a slow link is not held by one of them.
"""

import json
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mpiedge.comm.pacing import pieces, send_pieces
from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.run.allotting import Task
from mpiedge.run.held_weights import HeldWeights, flat
from mpiedge.run.local_work import Done
from mpiedge.strategy.roles import SERVER


class Awaited(NamedTuple):
    """A reply that is to come: whose, and under which number."""

    task: Task
    number: int


class Orders:
    """Both ends of the wire between the server and a device; each rank counts what it did."""

    def __init__(self, transport: Transport, weights: HeldWeights) -> None:
        self._transport, self._weights = transport, weights
        self._orders = dict.fromkeys(range(transport.size), 0)  # sent to each rank, or had
        self._replies = dict.fromkeys(range(transport.size), 0)

    def give(self, rank: int, tasks: list[Task], weights: Tensor) -> list[Awaited]:
        """Tell a rank what to do with these weights; what is to come of it."""
        self._send(rank, tasks, [weights])
        found = []
        for task in tasks:
            found.append(Awaited(task, self._replies[rank]))
            self._replies[rank] += 1
        return found

    def end(self, rank: int) -> None:
        """Tell a rank that this part is over."""
        self._send(rank, [], [])

    def had(self) -> list[tuple[Task, Tensor]]:
        """The next order for this rank, tasks and weights; none when this part is over."""
        rank = self._transport.rank
        message = self._transport.recv(SERVER, Tag(Kind.ORDER, self._orders[rank]))
        self._orders[rank] += 1
        tasks = json.loads(message[0].numpy().tobytes())
        return [(Task(**task), message[1]) for task in tasks]

    def reply(self, task: Task, done: Done) -> None:
        """Send the server what came of a task, at the task's rate."""
        rank = self._transport.rank
        facts = torch.tensor([done.loss, done.seconds], dtype=torch.float32)
        vector = flat([facts, *(done.tensors[name] for name in sorted(done.tensors))])
        tag = Tag(Kind.REPLY, self._replies[rank])
        self._replies[rank] += 1
        send_pieces(self._transport, vector, SERVER, tag, task.rate)

    def come(self, reply: Awaited) -> Done | None:
        """A reply if all of it is here: its last piece is, and pieces keep their order."""
        message = self._transport.poll(reply.task.rank, self._last(reply))
        return None if message is None else self._read(reply, message[0])

    def wait(self, reply: Awaited) -> Done:
        """A reply, when it has come; raises what the transport does when its rank is lost."""
        (piece,) = self._transport.recv(reply.task.rank, self._last(reply))
        return self._read(reply, piece)

    def _send(self, rank: int, tasks: list[Task], weights: list[Tensor]) -> None:
        content = json.dumps([task._asdict() for task in tasks]).encode()
        words = torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())
        self._transport.send([words, *weights], rank, Tag(Kind.ORDER, self._orders[rank]))
        self._orders[rank] += 1

    def _last(self, reply: Awaited) -> Tag:
        """The tag of a reply's last piece."""
        size = 2 + sum(shape.numel() for shape in self._weights.shapes(reply.task).values())
        return Tag(Kind.REPLY, reply.number, pieces(size) - 1)

    def _read(self, reply: Awaited, last: Tensor) -> Done:
        before = range(self._last(reply).place)
        tags = (Tag(Kind.REPLY, reply.number, place) for place in before)
        parts = [self._transport.recv(reply.task.rank, tag)[0] for tag in tags]
        shapes = self._weights.shapes(reply.task)
        sizes = [shape.numel() for shape in shapes.values()]
        facts, *tensors = torch.split(torch.cat([*parts, last]), [2, *sizes])
        values = {n: t.view(shapes[n]) for n, t in zip(shapes, tensors, strict=True)}
        return Done(values, float(facts[0]), float(facts[1]))
