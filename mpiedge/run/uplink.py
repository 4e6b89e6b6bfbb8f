"""What devices make reaches the server by messages, while the server trains on what came before.

    device   [make 0] [make 1] [make 2] waits   [make 3] ...        credits = 2
    link          0 ->     1 ->                 2 ->
    server            waits [train on 0] -> credit [train on 1] ...

No device waits for another.  One is at most ``strategy.credits`` micro-batches ahead of what the
server has taken, which bounds the server's memory.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.pipeline.smashed import Smashed, read, written
from mpiedge.run.dealing import Deal
from mpiedge.run.forward import Forward
from mpiedge.run.intake import Intake
from mpiedge.strategy.roles import SERVER
from mpiedge.task.sampler import Batch


class Uplink(Protocol):
    """How what devices make comes to the server; with ``record``, to be kept as well."""

    record: bool

    def begin(self, updates: range) -> None:
        """These updates are next; devices do here all that they do for them."""

    def fetch(self, number: int) -> None:
        """Bring an example to the intake, on the server."""


class Cuts:
    """Where each rank's layers end, and what is left up to the deepest cut."""

    def __init__(self, ranks: Mapping[int, range], deepest: int, forward: Forward) -> None:
        self._ranks, self._deepest, self._forward = ranks, deepest, forward

    def made(self, rank: int, numbers: Batch) -> Smashed:
        """What this rank, which is ``rank``, makes of its own examples."""
        return self._forward.made(numbers, self._ranks[rank])

    def aligned(self, rank: int, smashed: Smashed) -> Smashed:
        """What came from a rank, brought to the deepest cut."""
        return self._forward.raised(smashed, range(self._ranks[rank].stop, self._deepest + 1))


class Terms(NamedTuple):
    """How far a device may be ahead, and how one leaves."""

    credits: int  # micro-batches
    leaves: Callable[[], bool]  # whether this rank has been asked to
    say: Callable[[str], object]  # a sentence for the user


class Messages:
    """The uplink by messages; also what is at home on the server itself is made when needed."""

    def __init__(
        self, transport: Transport, deal: Deal, cuts: Cuts, intake: Intake, terms: Terms
    ) -> None:
        self._transport, self._deal, self._cuts = transport, deal, cuts
        self._intake, self._terms = intake, terms
        self._left = False
        self._due: dict[int, deque[Batch]] = {}
        self._done: Counter[int] = Counter()  # micro-batches of each rank, sent or taken
        self.record = False

    def begin(self, updates: range) -> None:
        """Send all that these updates need from here; on the server, note what they need."""
        parts, rank = self._deal.parts(updates), self._transport.rank
        if rank == SERVER:
            self._due = {other: deque(batches) for other, batches in parts.items()}
            return
        for numbers in parts.get(rank, ()):
            if not self._left:
                self._send(numbers)

    def fetch(self, number: int) -> None:
        """Take micro-batches of the example's rank until it is there, or the rank has left."""
        rank = self._deal.home(number)
        while not self._intake.waits(number) and rank not in self._intake.left:
            numbers = self._due[rank].popleft()
            own = rank == SERVER
            smashed = self._cuts.made(rank, numbers) if own else self._receive(rank, numbers)
            if smashed is None:
                self._intake.left.add(rank)
                self._terms.say(f"rank {rank} has left; going on without what it had to send")
            else:
                self._intake.add(self._cuts.aligned(rank, smashed), self.record)

    def _send(self, numbers: Batch) -> None:
        rank = self._transport.rank
        index = self._done[rank]
        if index >= self._terms.credits:
            self._transport.recv(SERVER, Tag(Kind.CREDIT, index - self._terms.credits))
        self._left = self._terms.leaves()
        message = [] if self._left else written(self._cuts.made(rank, numbers))
        self._transport.send(message, SERVER, Tag(Kind.ACTIVATION, index))
        self._done[rank] += 1

    def _receive(self, rank: int, numbers: Batch) -> Smashed | None:
        """What a rank sent; nothing where it has left."""
        index = self._done[rank]
        message = self._transport.recv(rank, Tag(Kind.ACTIVATION, index))
        if not message:
            return None
        smashed = read(message)
        assert smashed.numbers == numbers, f"rank {rank} sent {smashed.numbers}, not {numbers}"
        self._transport.send([], rank, Tag(Kind.CREDIT, index))
        self._done[rank] += 1
        return smashed
