"""Messages on their way, out and in, over MPI.

Two communicators: heads are probed for, since nobody knows what comes next; bodies are received
into memory made ready for them, in the order in which their heads came, which is the order they
were sent in.  Nothing in here waits: each ``step`` does what can be done now.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from mpi4py import MPI
from torch import Tensor

from mpiedge.comm.tag import Tag
from mpiedge.comm.wire import Decoded, Encoded, Memory, decode

MESSAGE, SIGN = 0, 1  # MPI tags on the communicator of heads

# Bodies go in pieces so that a transfer over a slow link shows progress (a 20 Mbit/s link moves
# one in under two seconds), and because MPI counts bytes in 31 bits.
_PIECE = 4 * 1024 * 1024


def pieces(memory: Memory) -> Iterator[Memory]:
    """The memory in parts that are one MPI message each."""
    for start in range(0, memory.size, _PIECE):
        yield memory[start : start + _PIECE]


class _Part(NamedTuple):
    """A piece of a message that MPI is moving; it keeps the memory alive."""

    request: MPI.Request
    memory: Memory
    peer: int


class Channels(NamedTuple):
    """Communicators of our own, so that nobody else's messages get in between."""

    heads: MPI.Intracomm
    bodies: MPI.Intracomm


class Outgoing:
    """Messages that are leaving, and the memory they leave from."""

    def __init__(self, channels: Channels, moved: Callable[[int], None]) -> None:
        self._channels, self._moved = channels, moved
        self._parts: list[_Part] = []
        self._signs: dict[int, _Part] = {}

    def start(self, message: Encoded, dest: int) -> None:
        """Start sending; the memory must not change until nobody awaits the message."""
        head = self._channels.heads.Isend([message.head, MPI.BYTE], dest, MESSAGE)
        self._parts.append(_Part(head, message.head, dest))
        for body in message.bodies:
            for piece in pieces(body):
                request = self._channels.bodies.Isend([piece, MPI.BYTE], dest, MESSAGE)
                self._parts.append(_Part(request, piece, dest))

    def start_sign(self, sign: Memory, dest: int) -> None:
        """Send a sign of life, unless the last one is still stuck: ``dest`` may be frozen."""
        last = self._signs.get(dest)
        if last is None or last.request.Test():
            request = self._channels.heads.Isend([sign, MPI.BYTE], dest, SIGN)
            self._signs[dest] = _Part(request, sign, dest)

    def step(self) -> bool:
        """Note what has left; whether anything did."""
        if not self._parts:
            return False
        done = MPI.Request.Testsome([part.request for part in self._parts]) or []
        for index in done:
            self._moved(self._parts[index].peer)
        if done:
            self._parts = [part for i, part in enumerate(self._parts) if i not in set(done)]
        return bool(done)

    def awaited(self) -> tuple[int, ...]:
        """The ranks that still have to take something."""
        return tuple({part.peer for part in self._parts})


class _Head(NamedTuple):
    request: MPI.Request
    memory: Memory
    source: int
    tag: int


@dataclass
class Arrival:
    """A message of which the head is here, and how many pieces of its bodies are not."""

    decoded: Decoded
    size: int
    missing: int = 0


@dataclass
class Incoming:
    """Messages that are arriving, and those that wait to be asked for."""

    channels: Channels
    moved: Callable[[int], None]
    heard: Callable[[int, Memory], None]  # a sign of life came
    _heads: list[_Head] = field(default_factory=list)
    _parts: list[tuple[_Part, Arrival]] = field(default_factory=list)
    _boxes: dict[tuple[int, Tag], deque[Arrival]] = field(default_factory=dict)
    _filing: threading.Lock = field(default_factory=threading.Lock)

    def hand_over(self, source: int, tag: Tag, tensors: tuple[Tensor, ...]) -> None:
        """File a message to oneself."""
        self._file(source, Arrival(Decoded(tag, tensors, ()), 0))

    def take(self, source: int, tag: Tag) -> Arrival | None:
        """The next message ``tag`` of ``source`` if all of it is here."""
        with self._filing:
            box = self._boxes.get((source, tag))
            if not box or box[0].missing:
                return None
            arrival = box.popleft()
            if not box:
                del self._boxes[source, tag]  # tags are many and used once
            return arrival

    def step(self) -> bool:
        """Take in what has come; whether anything had."""
        probed = self._probe()
        read = self._read_heads() if self._heads else False
        filled = self._fill() if self._parts else False
        return probed or read or filled

    def busy(self) -> bool:
        """Whether a message is half here."""
        return bool(self._heads or self._parts)

    def _probe(self) -> bool:
        status = MPI.Status()
        matched = self.channels.heads.Improbe(MPI.ANY_SOURCE, MPI.ANY_TAG, status)
        if matched is None:
            return False
        memory = np.empty(status.Get_count(MPI.BYTE), dtype=np.uint8)
        request = matched.Irecv([memory, MPI.BYTE])
        self._heads.append(_Head(request, memory, status.Get_source(), status.Get_tag()))
        return True

    def _read_heads(self) -> bool:
        waiting: list[_Head] = []
        for head in self._heads:
            # A head may be read only after all earlier ones of its source.
            if head.source in [other.source for other in waiting] or not head.request.Test():
                waiting.append(head)
            elif head.tag == SIGN:
                self.heard(head.source, head.memory)
            else:
                self._open(head)
        read = len(waiting) < len(self._heads)
        self._heads = waiting
        return read

    def _open(self, head: _Head) -> None:
        self.moved(head.source)
        arrival = Arrival(decode(head.memory), head.memory.size)
        for body in arrival.decoded.bodies:
            arrival.size += body.size
            for piece in pieces(body):
                request = self.channels.bodies.Irecv([piece, MPI.BYTE], head.source, MESSAGE)
                self._parts.append((_Part(request, piece, head.source), arrival))
                arrival.missing += 1
        self._file(head.source, arrival)

    def _fill(self) -> bool:
        done = MPI.Request.Testsome([part.request for part, _ in self._parts]) or []
        for index in done:
            part, arrival = self._parts[index]
            arrival.missing -= 1
            self.moved(part.peer)
        if done:
            self._parts = [part for i, part in enumerate(self._parts) if i not in set(done)]
        return bool(done)

    def _file(self, source: int, arrival: Arrival) -> None:
        with self._filing:
            self._boxes.setdefault((source, arrival.decoded.tag), deque()).append(arrival)
