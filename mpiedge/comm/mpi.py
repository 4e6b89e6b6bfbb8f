"""The transport over MPI: one process is one rank.

Messages are moved by a thread of its own (``mover``), waits are looks with pauses between them
(``pause``) and end when nobody they depend on shows progress (``signs``).  Needs a thread level of
MPI at which two threads may call it at the same time.
"""

import socket
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mpi4py import MPI
from torch import Tensor

from mpiedge.comm.circle import Circle
from mpiedge.comm.collective import Groups, Start, requests
from mpiedge.comm.ledger import Ledger
from mpiedge.comm.message_circle import MessageCircle
from mpiedge.comm.mover import Mover
from mpiedge.comm.mpi_circle import MpiCircle
from mpiedge.comm.pause import Pause
from mpiedge.comm.ring_sum import LEAST, RingSum
from mpiedge.comm.signs import Sign, Watch
from mpiedge.comm.summing import check_summable, widened
from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.telemetry import Reading, Telemetry
from mpiedge.comm.traffic import Channels
from mpiedge.comm.wire import Memory, encode, handed, memory_of
from mpiedge.errors import BadInput, RankLost

_LONGEST = 4e-3  # seconds between two looks of a long wait
_FLOWING = 2.5e-4  # the same while a message is half here or away: TCP has room for little
_NAME = 256  # bytes of a host's name


class MpiTransport:
    """This process's place among the ranks of ``comm``."""

    def __init__(self, comm: MPI.Intracomm, timeout: float) -> None:
        _check_thread_level()
        self.rank, self.size, self.ledger = comm.Get_rank(), comm.Get_size(), Ledger()
        self.hosts = _meet(comm, timeout)
        now = time.monotonic()
        signs = [Sign(now, now)] * self.size
        self._comm = comm
        own = self.hosts[self.rank]
        far = frozenset(rank for rank, host in enumerate(self.hosts) if host != own)
        self._channels = Channels(comm.Dup(), comm.Dup(), far)
        self._groups, self._sums = Groups(comm.Dup()), dict[tuple[int, ...], int]()
        self._watch = Watch(self.rank, self.hosts, timeout, signs)
        readings: dict[int, Reading] = {}
        self.telemetry = Telemetry(self.rank, self.ledger, signs, readings.get)
        self._mover = Mover(self._channels, self._watch, timeout, self.telemetry.mine, readings)

    def send(self, tensors: Sequence[Tensor], dest: int, tag: Tag) -> None:
        """Start sending CPU tensors; they must not change until ``flush``."""
        if dest == self.rank:
            self._mover.hand_over(dest, tag, handed(tensors))
            return
        encoded = encode(tensors, tag)
        self.ledger.note_sent(tag.kind, dest, encoded.size())
        self._mover.send(encoded, dest)

    def recv(self, source: int, tag: Tag) -> tuple[Tensor, ...]:
        """Wait for the message ``tag`` of ``source``."""
        if (tensors := self.poll(source, tag)) is not None:
            return tensors
        with self._watch.waiting([source], tag):
            pause = Pause()
            while (tensors := self._taken(source, tag)) is None:
                self._look(pause)
        return tensors

    def poll(self, source: int, tag: Tag) -> tuple[Tensor, ...] | None:
        """The message ``tag`` of ``source`` if it is here already."""
        self._mover.step()
        return self._taken(source, tag)

    def flush(self) -> None:
        """Wait until everything sent has left."""
        self._until(lambda: not self._mover.unsent(), self._mover.unsent(), "taking what was sent")

    def all_reduce(self, tensor: Tensor, ranks: Sequence[int]) -> None:
        """Sum a contiguous CPU tensor in place over ``ranks``."""
        self.sum_later(tensor, ranks)()

    def sum_later(self, tensor: Tensor, ranks: Sequence[int]) -> Callable[[], None]:
        """Start to sum a contiguous CPU tensor in place; what is returned waits for the sum."""
        group = self._group(ranks, tensor)
        if len(group) == 1:
            return _nothing
        comm, small = self._groups.of(group), tensor.nbytes < LEAST
        wide = widened(tensor) if small else tensor.detach()
        if small:
            done: Callable[[], bool] = comm.Iallreduce(MPI.IN_PLACE, wide.numpy()).Test
        else:
            done = self._ring(comm, group, wide.reshape(-1))
        self.ledger.note_sum(self.rank, group, wide.nbytes)

        def finish() -> None:
            self._until(done, group, Tag(Kind.COLLECTIVE))
            if wide.dtype != tensor.dtype:
                tensor.detach().copy_(wide)

        return finish

    def _ring(
        self, comm: MPI.Intracomm, group: tuple[int, ...], flat: Tensor
    ) -> Callable[[], bool]:
        """Start a sum around a ring; gives whether it is there."""
        before = group[group.index(self.rank) - 1]
        number = self._sums[group] = self._sums.get(group, 0) + 1
        ring = RingSum(comm, flat, number, lambda: self._watch.moved(before))
        self._mover.carry(ring)
        return lambda: ring.done

    def broadcast(self, tensor: Tensor, root: int, ranks: Sequence[int]) -> None:
        """Copy ``root``'s tensor to the others of ``ranks``, in place."""
        group = self._group(ranks, tensor)
        if len(group) == 1:
            return
        comm, place, memory = self._groups.of(group), group.index(root), memory_of(tensor)
        self._together(memory, group, lambda piece: comm.Ibcast([piece, MPI.BYTE], place))
        self._note_broadcast(memory.size, root, group)

    def circle(self, root: int, ranks: Sequence[int]) -> Circle:
        """A circle of a group's communicator, made at its first use."""
        group = self._group(ranks, torch.empty(0))
        if len(group) == 1:
            return MessageCircle(self, root, group)

        def wait(done: Callable[[], bool], awaited: Sequence[int]) -> None:
            self._until(done, awaited, Tag(Kind.COLLECTIVE))

        return MpiCircle(self._groups.of(group), group, root, wait, self.ledger)

    def close(self) -> None:
        """Leave together, and give MPI back what was taken from it."""
        everyone = tuple(range(self.size))
        self.flush()
        self._finish(self._groups.of(everyone).Ibarrier(), everyone, "leaving")
        self._mover.silence()
        # A second time: now nobody's signs of life are under way any more.
        self._finish(self._groups.of(everyone).Ibarrier(), everyone, "leaving")
        with self._watch.waiting(everyone, "leaving"):
            self._groups.free()
            self._channels.heads.Free()
            self._channels.bodies.Free()
        self._mover.end()

    def abort(self, code: int) -> None:
        """End the whole job, from whatever state it is in."""
        self._comm.Abort(code)

    def _taken(self, source: int, tag: Tag) -> tuple[Tensor, ...] | None:
        arrival = self._mover.take(source, tag)
        if arrival is None:
            return None
        if source != self.rank:
            self.ledger.note_received(tag.kind, source, arrival.size)
        return arrival.decoded.tensors

    def _group(self, ranks: Sequence[int], tensor: Tensor) -> tuple[int, ...]:
        """The group of ``ranks``, made at its first use."""
        check_summable(tensor)
        group = tuple(sorted(set(ranks)))
        if len(group) > 1 and not self._groups.known(group):
            self._gather(group)
            with self._watch.waiting(group, "making a group of ranks"):
                self._groups.make(group)
        return group

    def _gather(self, group: tuple[int, ...]) -> None:
        """Wait for the whole group with a deadline, since making it waits without one."""
        first, *others = group
        here = Tag(Kind.COLLECTIVE, -1)
        for rank in others if self.rank == first else ():
            self.recv(rank, here)
        for rank in others if self.rank == first else [first]:
            self.send([], rank, here)
        if self.rank != first:
            self.recv(first, here)

    def _together(self, memory: Memory, group: tuple[int, ...], start: Start) -> None:
        """Do something with the whole group, one piece of the memory after the other."""
        for request in requests(np.asarray(memory).reshape(-1), start):
            self._finish(request, group, Tag(Kind.COLLECTIVE))

    def _finish(self, request: MPI.Request, awaited: Sequence[int], what: object) -> None:
        self._until(request.Test, awaited, what)

    def _until(self, done: Callable[[], bool], awaited: Sequence[int], what: object) -> None:
        """Wait for ``awaited`` until ``done``."""
        if done():
            return
        with self._watch.waiting(awaited, what):
            pause = Pause()
            while not done():
                self._look(pause)

    def _look(self, pause: Pause) -> None:
        """Between two looks of a wait: move what can be moved, keep the deadline, give way."""
        if self._mover.step():
            pause.reset()
        self._watch.check()
        pause.rest(_FLOWING if self._mover.half_done() else _LONGEST)

    def _note_broadcast(self, size: int, root: int, group: tuple[int, ...]) -> None:
        if self.rank != root:
            self.ledger.note_received(Kind.COLLECTIVE, root, size)
            return
        for dest in group:
            if dest != root:
                self.ledger.note_sent(Kind.COLLECTIVE, dest, size)


def _nothing() -> None:
    """There is nothing to wait for."""


def _check_thread_level() -> None:
    level = MPI.Query_thread()
    if level < MPI.THREAD_MULTIPLE:
        raise BadInput(
            f"MPI runs at thread level {level}, mpiedge needs {MPI.THREAD_MULTIPLE} "
            "(MPI_THREAD_MULTIPLE); install an MPI built with threads: pip install 'mpiedge[mpi]'"
        )


def _meet(comm: MPI.Intracomm, timeout: float) -> tuple[str, ...]:
    """Wait until every rank is here, and learn the name of each one's host."""
    mine = np.zeros(_NAME, dtype=np.uint8)
    name = socket.gethostname().encode()[:_NAME]
    mine[: len(name)] = np.frombuffer(name, dtype=np.uint8)
    names = np.empty((comm.Get_size(), _NAME), dtype=np.uint8)
    request, pause, start = comm.Iallgather(mine, names), Pause(), time.monotonic()
    while not request.Test():
        if time.monotonic() - start > timeout:
            raise RankLost(
                f"rank {comm.Get_rank()} of {comm.Get_size()} waited {timeout:g} s for the other "
                "ranks to start; look for the one that did not, or raise comm.timeout"
            )
        pause.rest(_LONGEST)
    return tuple(bytes(row).rstrip(b"\0").decode() for row in names)
