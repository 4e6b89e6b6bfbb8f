"""What devices make reaches the server by MPI's scatter and gather: a round for every batch.

    server     S0 G0.. S1     | G0 done, G1.. S2 | train on 0 | G1 done, G2.. S3 | train on 1
    devices    S0 make 0, G0.. S1 make 1, G1.. S2 make 2 ...

The scatter says which of its examples a device makes; the gather is under way while the server
trains on the batch before and the devices make the next one.  A round ends with its slowest device.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mpiedge.comm.circle import Gathering
from mpiedge.comm.compression import narrowed, widened
from mpiedge.comm.transport import Transport
from mpiedge.comm.wire import Memory, memory_of
from mpiedge.pipeline.smashed import Smashed, read, written
from mpiedge.run.dealing import Deal
from mpiedge.run.intake import Intake
from mpiedge.run.pool import Pool
from mpiedge.run.uplink import Cuts
from mpiedge.strategy.roles import SERVER
from mpiedge.task.sampler import Batch


class Format(NamedTuple):
    """How hidden states travel."""

    pool: Pool
    width: int
    dtype: torch.dtype
    compression: tuple[str, float]  # how, and of topk the part that is kept

    def packed(self, smashed: Smashed) -> Memory:
        """A message as bytes."""
        *outline, hidden = written(smashed)
        parts = [*outline, *self._narrow(hidden)]
        return np.concatenate([memory_of(part) for part in parts])

    def room(self, numbers: Batch) -> list[Tensor]:
        """Memory for the message of some examples."""
        pool, count = self.pool, len(numbers)
        tokens = sum(pool.tokens[n] for n in numbers)
        targets = sum(pool.lengths[n] - pool.tokens[n] for n in numbers)
        hidden = torch.zeros(1, tokens, self.width, dtype=self.dtype)
        kinds = (torch.int64, torch.int64, torch.float64, torch.int64)
        outline = [torch.zeros(count, dtype=kind) for kind in kinds]
        return [*outline, torch.zeros(targets, dtype=torch.int64), *self._narrow(hidden)]

    def unpacked(self, content: Memory, room: Sequence[Tensor]) -> Smashed:
        """What was ``packed``, by way of the memory made for it."""
        start = 0
        for memory in map(memory_of, room):
            memory[:] = content[start : start + memory.size]
            start += memory.size
        hidden = room[5:] if self.compression[0] == "none" else list(widened(room[5:]))
        return read([*room[:5], *hidden])

    def _narrow(self, hidden: Tensor) -> list[Tensor]:
        return [hidden] if self.compression[0] == "none" else narrowed(hidden, *self.compression)


class Round(NamedTuple):
    """A batch of which the server waits for the parts."""

    shares: dict[int, Batch]
    gathering: Gathering


class Rounds:
    """The uplink by rounds over the server and the ``ranks`` with examples."""

    def __init__(
        self,
        transport: Transport,
        deal: Deal,
        cuts: Cuts,
        intake: Intake,
        form: Format,
    ) -> None:
        self._transport, self._deal, self._cuts = transport, deal, cuts
        self._intake, self._form = intake, form
        self._ranks = tuple(sorted({SERVER, *map(deal.home, range(len(form.pool.clients)))}))
        # Among several servers, and where there are fewer clients than ranks, some have no part.
        self._has_part = transport.rank in self._ranks
        around = self._ranks if self._has_part else (transport.rank,)
        self._circle = transport.circle(around[0], around)
        self._rounds: deque[Round] = deque()
        self._coming: deque[dict[int, Batch]] = deque()
        self.record = False

    def begin(self, updates: range) -> None:
        """Take part in these updates' rounds; on the server, start the first."""
        every = [self._shares(update) for update in updates if self._has_part]
        if self._transport.rank == SERVER:
            self._coming = deque(every)
            self._scatter()
            self._gather()
            return
        last: Gathering | None = None
        for shares in every:
            made = self._made(shares)
            if last is not None:
                last.finish()
            last = self._circle.gather(made, ())
        if last is not None:
            last.finish()

    def fetch(self, number: int) -> None:
        """End rounds until the example is there; the next one starts meanwhile."""
        while not self._intake.waits(number):
            current = self._rounds.popleft()
            contents = current.gathering.finish()
            self._gather()
            for rank, content in zip(self._ranks, contents, strict=True):
                self._take(rank, current.shares.get(rank, ()), content)

    def _shares(self, update: int) -> dict[int, Batch]:
        parts = self._deal.parts(range(update, update + 1))
        return {rank: tuple(n for part in batches for n in part) for rank, batches in parts.items()}

    def _made(self, shares: dict[int, Batch]) -> Memory:
        """What a device makes of the share that it is told."""
        rank = self._transport.rank
        expected = shares.get(rank, ())
        told = self._circle.scatter((), 8 * len(expected)).view(np.int64).tolist()
        assert tuple(told) == expected, f"rank {rank} was told {told}, not {expected}"
        return self._form.packed(self._share(tuple(told)))

    def _share(self, numbers: Batch) -> Smashed:
        """What this rank makes of a share, a micro-batch at a time."""
        size = self._deal.size
        chunks = [numbers[i : i + size] for i in range(0, len(numbers), size)]
        made = [self._cuts.made(self._transport.rank, chunk) for chunk in chunks]
        empty = torch.zeros(1, 0, self._form.width, dtype=self._form.dtype)
        return Smashed(
            numbers,
            tuple(answer for one in made for answer in one.answers),
            torch.cat([empty, *(one.hidden for one in made)], dim=1),
        )

    def _scatter(self) -> None:
        """Tell the ranks what the next round is made of."""
        if self._coming:
            shares = self._coming[0]
            told = [np.array(shares.get(rank, ()), dtype=np.int64) for rank in self._ranks]
            parts = [numbers.view(np.uint8) for numbers in told]
            self._circle.scatter(parts, parts[self._ranks.index(SERVER)].size)

    def _gather(self) -> None:
        """Start the round that was told, and tell the one after."""
        if not self._coming:
            return
        shares = self._coming.popleft()
        sizes = [0 if rank == SERVER else self._size(shares.get(rank, ())) for rank in self._ranks]
        gathering = self._circle.gather(np.empty(0, dtype=np.uint8), sizes)
        self._rounds.append(Round(shares, gathering))
        self._scatter()

    def _size(self, numbers: Batch) -> int:
        return sum(memory_of(tensor).size for tensor in self._form.room(numbers))

    def _take(self, rank: int, numbers: Batch, content: Memory) -> None:
        if not numbers:
            return
        if rank == SERVER:
            smashed = self._share(numbers)
        else:
            smashed = self._form.unpacked(content, self._form.room(numbers))
        self._intake.add(self._cuts.aligned(rank, smashed), self.record)
