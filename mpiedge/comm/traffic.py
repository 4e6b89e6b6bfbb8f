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

from mpiedge.comm.rooms import Rooms
from mpiedge.comm.tag import Tag
from mpiedge.comm.wire import Decoded, Encoded, Memory, decode

MESSAGE, SIGN = 0, 1  # MPI tags on the communicator of heads

AT_ONCE = 124 * 1024
"""Bytes that leave over TCP without asking, as ``launch`` sets MPI up: what is larger leaves when
the other end has answered, and the link rests meanwhile."""

# Bodies go in pieces so that a transfer over a slow link shows progress (a 20 Mbit/s link moves
# one in under two seconds), and because MPI counts bytes in 31 bits.
_PIECE = 4 * 1024 * 1024


def pieces(memory: Memory, far: bool) -> Iterator[Memory]:
    """The memory in parts that are one MPI message each; to a rank that is ``far``, over a link.

    A larger one asks first, since what nobody has asked for is kept twice at the other end.
    """
    size = AT_ONCE if far and memory.size <= _PIECE else _PIECE
    for start in range(0, memory.size, size):
        yield memory[start : start + size]


_SEEN = 4  # pieces of a peer that are looked at: they come and leave about in order


class _Part(NamedTuple):
    """A piece of a message that MPI is moving; it keeps the memory alive."""

    request: MPI.Request
    memory: Memory
    done: Callable[[], None] = lambda: None  # to be called when it has come


class _Queues:
    """Pieces on their way, by the rank they come from or go to.

    A step takes as long as there are peers, not as there are pieces: a large message has many.
    """

    def __init__(self, moved: Callable[[int], None]) -> None:
        self._moved = moved
        self._parts: dict[int, deque[_Part]] = {}

    def add(self, peer: int, part: _Part) -> None:
        """A piece behind the others of its peer."""
        self._parts.setdefault(peer, deque()).append(part)

    def step(self) -> bool:
        """Note what is done; whether anything is."""
        some = False
        for peer in list(self._parts):
            parts, at = self._parts[peer], 0
            while at < min(_SEEN, len(parts)):
                if parts[at].request.Test():
                    parts[at].done()
                    del parts[at]
                    self._moved(peer)
                    some = True
                else:
                    at += 1
            if not parts:
                del self._parts[peer]
        return some

    def peers(self) -> tuple[int, ...]:
        """Those of whom something is on its way."""
        return tuple(self._parts)


class Channels(NamedTuple):
    """Communicators of our own, so that nobody else's messages get in between, and what is far."""

    heads: MPI.Intracomm
    bodies: MPI.Intracomm
    far: frozenset[int]  # the ranks on other hosts


class Outgoing:
    """Messages that are leaving, and the memory they leave from."""

    def __init__(self, channels: Channels, moved: Callable[[int], None]) -> None:
        self._channels = channels
        self._parts = _Queues(moved)
        self._signs: dict[int, _Part] = {}

    def start(self, message: Encoded, dest: int) -> None:
        """Start sending; the memory must not change until nobody awaits the message."""
        head = self._channels.heads.Isend([message.head, MPI.BYTE], dest, MESSAGE)
        self._parts.add(dest, _Part(head, message.head))
        for body in message.bodies:
            for piece in pieces(body, dest in self._channels.far):
                request = self._channels.bodies.Isend([piece, MPI.BYTE], dest, MESSAGE)
                self._parts.add(dest, _Part(request, piece))

    def start_sign(self, sign: Memory, dest: int) -> None:
        """Send a sign of life, unless the last one is still stuck: ``dest`` may be frozen."""
        last = self._signs.get(dest)
        if last is None or last.request.Test():
            request = self._channels.heads.Isend([sign, MPI.BYTE], dest, SIGN)
            self._signs[dest] = _Part(request, sign)

    def step(self) -> bool:
        """Note what has left; whether anything did."""
        return self._parts.step()

    def awaited(self) -> tuple[int, ...]:
        """The ranks that still have to take something."""
        return self._parts.peers()


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

    def came(self) -> None:
        """One more piece is here."""
        self.missing -= 1


@dataclass
class Incoming:
    """Messages that are arriving, and those that wait to be asked for."""

    channels: Channels
    moved: Callable[[int], None]
    heard: Callable[[int, Memory], None]  # a sign of life came
    _heads: list[_Head] = field(default_factory=list)
    _boxes: dict[tuple[int, Tag], deque[Arrival]] = field(default_factory=dict)
    _filing: threading.Lock = field(default_factory=threading.Lock)
    _rooms: Rooms = field(default_factory=Rooms)

    def __post_init__(self) -> None:
        self._parts = _Queues(self.moved)

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
        filled = self._parts.step()
        return probed or read or filled

    def busy(self) -> bool:
        """Whether a message is half here."""
        return bool(self._heads or self._parts.peers())

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
        arrival = Arrival(decode(head.memory, self._rooms.take), head.memory.size)
        for body in arrival.decoded.bodies:
            arrival.size += body.size
            for piece in pieces(body, head.source in self.channels.far):
                request = self.channels.bodies.Irecv([piece, MPI.BYTE], head.source, MESSAGE)
                self._parts.add(head.source, _Part(request, piece, arrival.came))
                arrival.missing += 1
        self._file(head.source, arrival)

    def _file(self, source: int, arrival: Arrival) -> None:
        with self._filing:
            self._boxes.setdefault((source, arrival.decoded.tag), deque()).append(arrival)
