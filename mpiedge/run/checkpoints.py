"""Checkpoints of a run: all that decides what is left of it, on every rank's disk and on another's.

Which examples come when, dropout and the learning rate follow from the run file and the number of
the update, so that what has to be kept is small: tuned weights, what the optimizer keeps of them,
and how far the run has come.  Each weight is kept by the lowest of the ranks that train it; every
part has a copy on the rank after it, so that one device may be lost with its disk.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch

from mpiedge.comm.transport import Kind, Tag
from mpiedge.comm.values import agree, gather
from mpiedge.errors import BadInput, Stopped
from mpiedge.pipeline.hand_over import Named, owners_of
from mpiedge.run.journal import Journal
from mpiedge.run.opening import Opened
from mpiedge.run.phases import Entered
from mpiedge.run.preparing import Prepared
from mpiedge.run.resuming import FOLDER, Position, Resumed, decisive
from mpiedge.run.slowing import Pace
from mpiedge.run.stopping import Stopping
from mpiedge.store.checkpoint import Writing, keep_last, pieces_of, write

Facts = dict[str, Any]
"""Plain values that stand in a checkpoint."""

State = dict[str, torch.Tensor]
"""Tensors that stand in it."""


class Checkpoints:
    """Writes a checkpoint whenever one is due; made and asked by all ranks alike."""

    def __init__(self, opened: Opened, folder: Path, journal: Journal, run: str) -> None:
        self._opened, self._folder, self._run = opened, folder / FOLDER, run
        self._settings = opened.settings.checkpoint
        self._at = time.monotonic()
        self._last = 0.0  # seconds that the last one took
        self._written, self._spent = 0, 0.0
        self.journal = journal
        self.stopping = Stopping(opened.transport)
        self.pace = Pace(opened, journal)

    @property
    def every(self) -> int:
        """Updates between two checkpoints at most; 0: none are written."""
        return self._settings.every

    def clear(self) -> None:
        """A run begins anew: what an earlier one left here is not its."""
        keep_last(self._folder, 0)

    def begin(self) -> None:
        """From here on it is counted when the next one is due, and signals wait for it."""
        self._at = time.monotonic()
        self.pace.begin()
        self.stopping.heeds = self.every > 0

    def offer(
        self,
        here: Entered,
        position: Position,
        facts: Facts,
        apart: Callable[[], Named] = dict,
    ) -> None:
        """Write a checkpoint after an update if it is time for one; called by all.

        ``apart`` gives what clients on this rank train apart from each other.  Raises Stopped once
        it is written, where a rank was asked to end, and Slowed where a new plan is due.
        """
        if not self.every:
            return
        due, asked = agree(self._opened.transport, [self._enough(), self.stopping.asked()])
        written = False
        if due or asked:
            noted = {"run": self._run, "journal": self.journal.noted(), **facts}
            state = _state(self._opened, here, position.done, apart())
            written = self._write(state, position, noted)
        if due and written and not asked:
            self.pace.look(here.phase, position.done)
        if asked:
            self.journal.status.state("stopped")
            done, whole = position.done, facts["extent"]["updates"]
            where = f"mpiedge train ... --resume {self._folder.parent}"
            raise Stopped(f"stopped after update {done} of {whole}; go on: {where}", 128 + asked)

    def _enough(self) -> bool:
        """Whether it is so long since the last one that another takes no more than its share."""
        least, share = self._settings.seconds, self._settings.share
        if least and share:
            least = max(least, self._last / share)
        return time.monotonic() - self._at >= least

    def _write(self, state: State, position: Position, facts: Facts) -> bool:
        transport, start = self._opened.transport, time.monotonic()
        pieces = pieces_of(state, {**facts, **position._asdict()})
        complaint = self._put(pieces, position.done)
        failed = agree(transport, [c for c in gather(transport, complaint) or () if c])
        if failed:
            self.journal.say(f"no checkpoint after update {position.done}: {failed[0]}")
        else:
            keep_last(self._folder, self._settings.keep)
            self.journal.status.checkpoint(position.done)
        self._at = time.monotonic()
        self._last = self._at - start
        self._written, self._spent = self._written + 1, self._spent + self._last
        spent = {"written": self._written, "seconds": round(self._spent, 4)}
        self.journal.facts["checkpoints"] = spent
        return not failed

    def _put(self, pieces: Sequence[memoryview], done: int) -> str | None:
        """Write this rank's part, and a copy of the part of the rank before; what went wrong."""
        rank, size = self._opened.transport.rank, self._opened.transport.size
        before = (rank - 1) % size
        try:
            if size == 1:
                write(self._folder, done, rank, size, pieces)
                return None
            with (
                Writing(self._folder, done, rank, size) as mine,
                Writing(self._folder, done, before, size) as copy,
            ):
                for piece in pieces:
                    mine.add(piece)
                self._exchange(pieces, copy, done)
                mine.placed()
                copy.placed()
        except OSError as error:
            return f"rank {rank} cannot write to {self._folder} ({error.strerror})"
        return None

    def _exchange(self, pieces: Sequence[memoryview], copy: Writing, done: int) -> None:
        """Give this rank's part to the next one, and take that of the one before, in step."""
        transport, tag = self._opened.transport, Tag(Kind.STORED, done)
        after, before = ((transport.rank + by) % transport.size for by in (1, -1))
        transport.send([torch.tensor([len(pieces)])], after, tag)
        (counted,) = transport.recv(before, tag)
        coming = int(counted)
        for number in range(max(len(pieces), coming)):
            if number < len(pieces):
                transport.send([torch.frombuffer(pieces[number], dtype=torch.uint8)], after, tag)
            if number < coming:
                (piece,) = transport.recv(before, tag)
                copy.add(piece.numpy().data)
            transport.flush()


def _state(opened: Opened, here: Entered, done: int, apart: Named) -> State:
    """What this rank is the one to keep: ``0:weight``, and ``1:weight`` on of its optimizer."""
    plan, layers_of = here.phase.plan.batch(done - 1), opened.blueprint.layers_of
    shared = {name for name in here.shard.tuned if plan.apart.isdisjoint(layers_of(name))}
    owners = owners_of(opened.blueprint, plan, shared)
    mine = [name for name in owners if owners[name] == opened.transport.rank]
    state = {**here.update.state(mine), **apart}
    return {f"{i}:{name}": t for name in state for i, t in enumerate(state[name])}


def begun(opened: Opened, folder: Path, journal: Journal, resumed: Resumed | None) -> Checkpoints:
    """The checkpoints of a run that begins, or goes on, in an output directory; called by all."""
    token = resumed.facts["run"] if resumed else agree(opened.transport, token_hex(8))
    return Checkpoints(opened, folder, journal, token)


def facts_of(run: Prepared) -> Facts:
    """What a run is known by: the settings that decide its result, and how much there is to do."""
    return {"settings": decisive(run.opened.settings), "extent": _extent(run)}


def check_extent(run: Prepared, resumed: Resumed) -> None:
    """Raise BadInput where there is more or less to do than when the run was begun."""
    now, before = _extent(run), resumed.facts["extent"]
    for name, value in now.items():
        if value != before[name]:
            raise BadInput(
                f"this run has {value} {name}, but the one to be resumed had {before[name]}; give "
                f"it the same data, and as many clients (strategy.clients), or train anew"
            )


def _extent(run: Prepared) -> Facts:
    clients = len(run.clients.sizes) if run.clients is not None else 0
    clients = len(set(run.pool.clients)) if run.pool is not None else clients
    return {"examples": run.clock.examples, "updates": run.clock.steps, "clients": clients}
