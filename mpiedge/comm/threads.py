"""The transport between threads of one process: for tests, and for a run of one rank.

Messages still pass through the wire format, and waits keep the same deadlines as over MPI, so
that what works here works there.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

import numpy as np
from torch import Tensor

from mpiedge.comm.circle import Circle
from mpiedge.comm.ledger import Ledger
from mpiedge.comm.message_circle import MessageCircle
from mpiedge.comm.signs import COMPUTING, Sign, Watch
from mpiedge.comm.summing import check_summable, widened
from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.telemetry import Reading, Telemetry
from mpiedge.comm.wire import decode, encode, handed
from mpiedge.errors import RankLost

T = TypeVar("T")
Box = tuple[int, int, Tag]  # source, destination, what
Filed = tuple[tuple[Tensor, ...], int]  # a message and its size in bytes

_NAP = 0.05  # seconds between two looks at the deadline


class World:
    """What the ranks of one process share."""

    def __init__(self, size: int, timeout: float) -> None:
        self.size, self.timeout = size, timeout
        self.boxes: defaultdict[Box, deque[Filed]] = defaultdict(deque)
        self.changed = threading.Condition()
        self.signs: list[Sign] = [COMPUTING] * size
        self.failures: list[tuple[int, BaseException]] = []
        self.telemetry: dict[int, Telemetry] = {}

    def put(self, box: Box, filed: Filed) -> None:
        """File a message for its receiver."""
        with self.changed:
            self.boxes[box].append(filed)
            self.changed.notify_all()

    def take(self, box: Box) -> Filed | None:
        """A message that is here already; the caller holds ``changed``."""
        if box not in self.boxes:
            return None
        filed = self.boxes[box].popleft()
        if not self.boxes[box]:
            del self.boxes[box]  # tags are many and used once
        return filed

    def fail(self, rank: int, failure: BaseException) -> None:
        """Let the other ranks know that ``rank`` is gone."""
        with self.changed:
            self.failures.append((rank, failure))
            self.changed.notify_all()

    def reading(self, rank: int) -> Reading | None:
        """How a rank fares, if it has begun."""
        telemetry = self.telemetry.get(rank)
        return None if telemetry is None else telemetry.mine()


class ThreadTransport:
    """One thread is one rank."""

    def __init__(self, world: World, rank: int) -> None:
        self._world, self.rank, self.size = world, rank, world.size
        self.ledger = Ledger()
        self.telemetry = Telemetry(rank, self.ledger, world.signs, world.reading)
        world.telemetry[rank] = self.telemetry
        self._watch = Watch(rank, ["this host"] * self.size, world.timeout, world.signs)

    def send(self, tensors: Sequence[Tensor], dest: int, tag: Tag) -> None:
        """Pass copies of the tensors, made through the wire format."""
        if dest == self.rank:
            self._world.put((self.rank, dest, tag), (handed(tensors), 0))
            return
        encoded = encode(tensors, tag)
        self.ledger.note_sent(tag.kind, dest, encoded.size())
        decoded = decode(encoded.head)
        for empty, body in zip(decoded.bodies, encoded.bodies, strict=True):
            np.copyto(empty, body)
        self._world.put((self.rank, dest, decoded.tag), (decoded.tensors, encoded.size()))

    def recv(self, source: int, tag: Tag) -> tuple[Tensor, ...]:
        """Wait for the message ``tag`` of ``source``."""
        world, box = self._world, (source, self.rank, tag)
        with world.changed, self._watch.waiting([source], tag):
            while (filed := world.take(box)) is None:
                self._give_up_if_failed(tag)
                self._watch.check()
                world.changed.wait(min(_NAP, world.timeout / 20))
        return self._noted(source, tag, filed)

    def poll(self, source: int, tag: Tag) -> tuple[Tensor, ...] | None:
        """The message ``tag`` of ``source`` if it is here already."""
        with self._world.changed:
            filed = self._world.take((source, self.rank, tag))
        return None if filed is None else self._noted(source, tag, filed)

    def flush(self) -> None:
        """Everything has left: sending copies."""

    def all_reduce(self, tensor: Tensor, ranks: Sequence[int]) -> None:
        """Sum on the first of ``ranks``, in their order, and send the sum back."""
        check_summable(tensor)
        ranks, tag = sorted(ranks), Tag(Kind.COLLECTIVE)
        if self.rank != ranks[0]:
            self.send([tensor], ranks[0], tag)
        else:
            total = widened(tensor)
            for source in ranks[1:]:
                total += self.recv(source, tag)[0]
            tensor.detach().copy_(total)
        self.broadcast(tensor, ranks[0], ranks)

    def sum_later(self, tensor: Tensor, ranks: Sequence[int]) -> Callable[[], None]:
        """Sum when it is waited for."""
        return lambda: self.all_reduce(tensor, ranks)

    def broadcast(self, tensor: Tensor, root: int, ranks: Sequence[int]) -> None:
        """Send ``root``'s tensor to each of the others."""
        check_summable(tensor)
        tag = Tag(Kind.COLLECTIVE)
        if self.rank != root:
            tensor.detach().copy_(self.recv(root, tag)[0])
            return
        for dest in ranks:
            if dest != root:
                self.send([tensor.detach()], dest, tag)

    def circle(self, root: int, ranks: Sequence[int]) -> Circle:
        """A circle made of messages."""
        return MessageCircle(self, root, sorted(ranks))

    def close(self) -> None:
        """Wait until every rank has closed."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        for dest in others:
            self.send([], dest, _LEAVING)
        for source in others:
            self.recv(source, _LEAVING)

    def abort(self, code: int) -> NoReturn:
        """End this rank; ``run_ranks`` ends the others."""
        raise SystemExit(code)

    def _noted(self, source: int, tag: Tag, filed: Filed) -> tuple[Tensor, ...]:
        tensors, size = filed
        if source != self.rank:
            self.ledger.note_received(tag.kind, source, size)
        return tensors

    def _give_up_if_failed(self, tag: Tag) -> None:
        if self._world.failures:
            rank, failure = self._world.failures[0]
            raise RankLost(f"rank {self.rank} waited for {tag}, but rank {rank} failed: {failure}")


_LEAVING = Tag(Kind.COLLECTIVE, -1)


def alone(timeout: float = 60.0) -> ThreadTransport:
    """The transport of a run with one rank; it needs no MPI."""
    return ThreadTransport(World(1, timeout), 0)


def run_ranks(size: int, body: Callable[[ThreadTransport], T], timeout: float = 20.0) -> list[T]:
    """Run ``body`` once a rank and return the results by rank; raise the first real failure."""
    world = World(size, timeout)
    results: dict[int, T] = {}

    def run(rank: int) -> None:
        try:
            results[rank] = body(ThreadTransport(world, rank))
        except BaseException as failure:  # noqa: BLE001 - raised again in the caller's thread
            world.fail(rank, failure)
        finally:
            now = time.monotonic()
            last = world.signs[rank]
            world.signs[rank] = Sign(now, min(now, last.moved), last.awaited)

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if world.failures:
        raise _first_cause(world.failures)
    return [results[rank] for rank in range(size)]


def _first_cause(failures: Sequence[tuple[int, BaseException]]) -> BaseException:
    """The first failure that is not merely the loss of a rank that failed."""
    causes = [failure for _, failure in failures]
    return next((cause for cause in causes if not isinstance(cause, RankLost)), causes[0])
