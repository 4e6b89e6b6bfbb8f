"""The thread that keeps messages moving while its rank computes.

Over TCP, MPI moves a large message only while both ends are inside MPI calls; a message sent
before a long computation would arrive after it.  The thread also gives this rank's signs of life
and, when the rank is stuck inside a call from which no exception can free it, ends the process.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from mpiedge.comm.last_resort import leave
from mpiedge.comm.signs import Watch
from mpiedge.comm.tag import Tag
from mpiedge.comm.telemetry import Reading
from mpiedge.comm.traffic import Arrival, Channels, Incoming, Outgoing
from mpiedge.comm.wire import Encoded, Memory

_READING = len(Reading._fields)
_TO_RANK_0 = 1.0  # seconds between two signs to the rank that shows how all fare
_IDLE, _BUSY = 5e-3, 3e-4  # seconds between two looks when nothing, something is on its way


class Work(Protocol):
    """Something of several messages that go by themselves."""

    @property
    def done(self) -> bool:
        """Whether all of them have come and left."""

    def step(self) -> bool:
        """Move what can be moved now; whether anything moved."""


class Mover:
    """One rank's traffic, and the thread that looks after it."""

    def __init__(
        self,
        channels: Channels,
        watch: Watch,
        timeout: float,
        mine: Callable[[], Reading],
        readings: dict[int, Reading],
    ) -> None:
        """Signs carry what ``mine`` says; those of other ranks go to ``readings``."""
        size = channels.heads.Get_size()
        self._others = [rank for rank in range(size) if rank != channels.heads.Get_rank()]
        self._watch, self._mine, self._readings = watch, mine, readings
        self._outgoing = Outgoing(channels, watch.moved)
        self._incoming = Incoming(channels, watch.moved, self._heard)
        self._grace = max(1.0, min(10.0, timeout / 4))
        self._interval = max(0.1, min(5.0, timeout / 8))
        self._next_sign = self._next_to_rank_0 = 0.0
        self._carried: list[Work] = []
        self._lock = threading.Lock()
        self._open, self._ending = True, threading.Event()
        self._thread = threading.Thread(target=self._run, name="mpiedge mover", daemon=True)
        self._thread.start()

    def send(self, message: Encoded, dest: int) -> None:
        """Start sending from the caller's thread: the sooner it is with MPI the better."""
        with self._lock:
            self._outgoing.start(message, dest)

    def hand_over(self, source: int, tag: Tag, tensors: tuple[Tensor, ...]) -> None:
        """File a message to oneself."""
        self._incoming.hand_over(source, tag, tensors)

    def take(self, source: int, tag: Tag) -> Arrival | None:
        """The next message ``tag`` of ``source`` if all of it is here."""
        return self._incoming.take(source, tag)

    def carry(self, work: Work) -> None:
        """Move this along too, until it is done."""
        with self._lock:
            self._carried.append(work)

    def half_done(self) -> bool:
        """Whether a message is half here or half away."""
        return self._incoming.busy() or bool(self.unsent())

    def unsent(self) -> Sequence[int]:
        """The ranks that still have to take something."""
        with self._lock:
            return self._outgoing.awaited()

    def step(self) -> bool:
        """Move what can be moved now, in whichever thread has time; whether anything moved."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return self._open and self._move()
        finally:
            self._lock.release()

    def silence(self) -> None:
        """Move nothing and give no sign any more; only the last resort remains."""
        with self._lock:
            self._open = False

    def end(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    def _move(self) -> bool:
        came = self._incoming.step()
        left = self._outgoing.step()
        carried = [work.step() for work in self._carried]
        self._carried = [work for work in self._carried if not work.done]
        return came or left or any(carried)

    def _run(self) -> None:
        nap = _BUSY
        while not self._ending.is_set():
            # A rank that waits looks for itself, and sooner than a thread beside it could.
            busy = not self._watch.waits and (self.step() or self._carried or self.half_done())
            nap = _BUSY if busy else min(2 * nap, _IDLE)
            self._give_sign()
            self._last_resort()
            time.sleep(nap)

    def _give_sign(self) -> None:
        now = time.monotonic()
        if now >= self._next_sign:
            self._next_sign, dests = now + self._interval, self._others
        elif now >= self._next_to_rank_0:
            dests = self._others[:1] if 0 in self._others else []
        else:
            return
        self._next_to_rank_0 = now + _TO_RANK_0
        age, awaited = self._watch.own()
        micros = -1 if age is None else int(1e6 * age)
        sign = np.array([micros, *self._mine(), *awaited], dtype=np.int64).view(np.uint8)
        with self._lock:
            for dest in dests if self._open else ():
                self._outgoing.start_sign(sign, dest)

    def _heard(self, source: int, sign: Memory) -> None:
        micros, *values = sign.view(np.int64).tolist()
        self._readings[source] = Reading(*values[:_READING])
        awaited = values[_READING:]
        self._watch.heard(source, None if micros < 0 else micros / 1e6, tuple(awaited))

    def _last_resort(self) -> None:
        if self._watch.waits and self._watch.overdue() > self._grace:
            leave(self._watch.complaint())
