"""A transport that says how long was waited, and for what.

A wrapper, like the compressing one: whoever sends and receives knows nothing of it, and a run that
is not recorded goes without.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

from mpiedge.comm.circle import Circle, Gathering
from mpiedge.comm.tag import Tag
from mpiedge.comm.transport import Transport
from mpiedge.comm.wire import Memory

T = TypeVar("T")

Waited = Callable[[str, float, float], None]
"""Told of a wait: for what, and from when to when by ``time.perf_counter``."""


class Waiting:
    """A transport whose waits are told to ``waited``."""

    def __init__(self, transport: Transport, waited: Waited) -> None:
        self._transport, self._waited = transport, waited
        self.rank, self.size, self.ledger = transport.rank, transport.size, transport.ledger
        self.telemetry = transport.telemetry

    def send(self, tensors: Sequence[Tensor], dest: int, tag: Tag) -> None:
        """As the transport: nothing is waited for."""
        self._transport.send(tensors, dest, tag)

    def recv(self, source: int, tag: Tag) -> tuple[Tensor, ...]:
        """Wait for a message."""
        words = f"{tag.kind.name.lower()} from rank {source}"
        return _timed(lambda: self._transport.recv(source, tag), words, self._waited)

    def poll(self, source: int, tag: Tag) -> tuple[Tensor, ...] | None:
        """As the transport: nothing is waited for."""
        return self._transport.poll(source, tag)

    def flush(self) -> None:
        """Wait until everything has left."""
        _timed(self._transport.flush, "messages to leave", self._waited)

    def all_reduce(self, tensor: Tensor, ranks: Sequence[int]) -> None:
        """Sum, with the others."""
        words = f"a sum over ranks {list(ranks)}"
        _timed(lambda: self._transport.all_reduce(tensor, ranks), words, self._waited)

    def sum_later(self, tensor: Tensor, ranks: Sequence[int]) -> Callable[[], None]:
        """Begin to sum, with the others; the wait for it is told."""
        finish = self._transport.sum_later(tensor, ranks)
        return lambda: _timed(finish, f"a sum over ranks {list(ranks)}", self._waited)

    def broadcast(self, tensor: Tensor, root: int, ranks: Sequence[int]) -> None:
        """Copy, with the others."""
        words = f"a broadcast from rank {root}"
        _timed(lambda: self._transport.broadcast(tensor, root, ranks), words, self._waited)

    def circle(self, root: int, ranks: Sequence[int]) -> Circle:
        """A circle whose waits are told, too."""
        return _WaitingCircle(self._transport.circle(root, ranks), self._waited)

    def close(self) -> None:
        """As the transport."""
        self._transport.close()


class _WaitingCircle:
    def __init__(self, circle: Circle, waited: Waited) -> None:
        self._circle, self._waited = circle, waited

    def scatter(self, parts: Sequence[Memory], size: int) -> Memory:
        return _timed(lambda: self._circle.scatter(parts, size), "a scatter", self._waited)

    def gather(self, mine: Memory, sizes: Sequence[int]) -> Gathering:
        return _WaitingGather(self._circle.gather(mine, sizes), self._waited)


class _WaitingGather:
    def __init__(self, gathering: Gathering, waited: Waited) -> None:
        self._gathering, self._waited = gathering, waited

    def finish(self) -> tuple[Memory, ...]:
        return _timed(self._gathering.finish, "a gather", self._waited)


def _timed(wait: Callable[[], T], words: str, waited: Waited) -> T:
    start = time.perf_counter()
    result = wait()
    waited(words, start, time.perf_counter())
    return result
