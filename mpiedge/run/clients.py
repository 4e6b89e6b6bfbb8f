"""The data of clients: read on their own ranks only, and the order in which it is trained on.

What everybody learns of a client is how many examples it has and, where the input of a block is
to be kept, how many tokens each of them has, as a mask says too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mpiedge.comm.values import agree, collectively, gather
from mpiedge.config import RunSettings
from mpiedge.errors import BadInput
from mpiedge.pipeline.feed import Feed, Order, shuffled
from mpiedge.pipeline.portion import MicroBatch
from mpiedge.run.opening import Opened, open_task_of
from mpiedge.strategy.initiators import turns
from mpiedge.strategy.roles import client_count, roles
from mpiedge.task.clients import Division, divide
from mpiedge.task.sampler import Batch, Portions
from mpiedge.task.task import Encoded

Known = TypeVar("Known")

SEEDS = 7919
"""Between the seeds of two clients' orders; a prime, so that no two runs share them."""


@dataclass(frozen=True)
class Clients:
    """All clients, as far as they are known on this rank."""

    sizes: tuple[int, ...]  # examples of each
    examples: Mapping[int, Sequence[Encoded]]  # of the clients that are at home here
    lengths: Mapping[int, Sequence[int]]  # how much work each example is; of all, or as above
    tokens: Mapping[int, Sequence[int]]  # of each example that the model is given; likewise
    places: Mapping[int, Sequence[int]]  # of a client here, in the data set it was divided from

    def batches(self, batch_size: int) -> tuple[int, ...]:
        """Batches of an epoch that are each client's."""
        return tuple(-(-size // batch_size) for size in self.sizes)

    def number(self, client: int, example: int) -> int:
        """An example's number among those of all clients."""
        return sum(self.sizes[:client]) + example


@dataclass(frozen=True)
class Place:
    """A batch of the run: whose it is, and which of that client's it is."""

    client: int
    number: int


class Rota:
    """Which client's examples make up which batch of the run."""

    def __init__(self, opened: Opened, clients: Clients, count: int) -> None:
        training = opened.settings.training
        self._each = clients.batches(training.batch_size)
        self._row = turns(self._each, opened.settings.strategy)
        self._earlier = _earlier(self._row)
        self._orders = {
            client: shuffled(lengths, training.batch_size, count, training.seed + SEEDS * client)
            for client, lengths in clients.lengths.items()
        }

    def place(self, batch: int) -> Place:
        """Whose batch it is."""
        epoch, index = divmod(batch, len(self._row))
        client = self._row[index]
        return Place(client, epoch * self._each[client] + self._earlier[index])

    def portions(self, batch: int) -> Portions:
        """The batch as micro-batches of its client's examples; only where these are known."""
        place = self.place(batch)
        return self._order(place.client).batch(place.number)

    def _order(self, client: int) -> Order:
        return self._orders[client]


class ClientFeed:
    """Makes micro-batches of the examples of the clients on this rank."""

    def __init__(self, opened: Opened, clients: Clients, rota: Rota, count: int) -> None:
        self._rota, self._count = rota, count
        bridge = opened.blueprint.bridge
        self._feeds = {
            client: Feed(opened.task, examples, bridge)
            for client, examples in clients.examples.items()
        }

    def __call__(self, number: int) -> MicroBatch:
        """Micro-batch ``number`` of the run."""
        batch, index = divmod(number, self._count)
        feed = self._feeds[self._rota.place(batch).client]
        return feed.micro_batch(self._rota.portions(batch), index)


def read_clients(opened: Opened, train: Sequence[Encoded], *, lengths: bool) -> Clients:
    """Each client's examples on its rank: of a file of its own, or of ``train``; called by all.

    With ``lengths`` every rank learns those of all examples.
    """
    parts = collectively(opened.transport, lambda: _divided(opened, train))
    here = collectively(opened.transport, lambda: _read(opened, train, parts))
    known = {
        client: [[e.length for e in examples], [len(e.tokens) for e in examples]]
        for client, examples in here.items()
    }
    sizes = everywhere(opened, {client: len(examples) for client, examples in here.items()})
    shared = everywhere(opened, known) if lengths else known
    return Clients(
        sizes=tuple(sizes[client] for client in sorted(sizes)),
        examples=here,
        lengths={client: rows[0] for client, rows in shared.items()},
        tokens={client: rows[1] for client, rows in shared.items()},
        places=parts,
    )


def homes(opened: Opened) -> frozenset[int]:
    """The ranks that read the files all share: clients' ranks, or rank 0 to validate."""
    if opened.settings.task.client_files:
        return frozenset({0})
    home = roles(opened.settings.strategy, opened.transport.size).home
    return frozenset(home(client) for client in range(_count(opened)))


def check_none(settings: RunSettings) -> None:
    """Raise BadInput where clients are named that a strategy knows nothing of."""
    task, strategy = settings.task, settings.strategy
    if task.client_files or strategy.clients:
        named = "task.client_files" if task.client_files else "strategy.clients"
        raise BadInput(
            f"{named} is for data that stays with its clients, which strategy {strategy.name} does "
            f"not do; use strategy ring or split, or leave it out"
        )


def _count(opened: Opened) -> int:
    files = len(opened.settings.task.client_files)
    return client_count(opened.settings.strategy, opened.transport.size, files)


def everywhere(opened: Opened, here: Mapping[int, Known]) -> dict[int, Known]:
    """What each client's rank knows of it, known to all."""
    rows = gather(opened.transport, list(here.items()))
    told = agree(opened.transport, [pair for row in rows or () for pair in row])
    return dict(told)


def _mine(opened: Opened) -> tuple[int, ...]:
    """The clients that are at home here."""
    rank, size = opened.transport.rank, opened.transport.size
    return roles(opened.settings.strategy, size).clients_on(rank, _count(opened))


def _read(
    opened: Opened, train: Sequence[Encoded], parts: Mapping[int, Sequence[int]]
) -> dict[int, Sequence[Encoded]]:
    if opened.settings.task.client_files:
        return {client: open_task_of(opened, client).examples("train") for client in _mine(opened)}
    return {client: [train[i] for i in parts[client]] for client in parts}


def _divided(opened: Opened, train: Sequence[Encoded]) -> dict[int, Batch]:
    """The examples of each client here by their places in ``train``; none of files of their own."""
    settings, count, mine = opened.settings, _count(opened), _mine(opened)
    if settings.task.client_files or not mine:
        return {}
    if settings.strategy.same_batch:
        return dict.fromkeys(mine, tuple(range(len(train))))
    split = settings.task.split
    if split != "iid" and not opened.labels:
        raise BadInput(
            f"task.split {split} goes by the labels of a classification, and {settings.task.name} "
            f"has none; set it to iid, or give task.client_files"
        )
    labels = [example.label for example in train]
    by = Division(split, settings.task.alpha, settings.training.seed)
    parts = divide(labels, count, by)
    return {client: parts[client] for client in mine}


def _earlier(row: Sequence[int]) -> tuple[int, ...]:
    """For each turn, how many the same client had before."""
    had: Counter[int] = Counter()
    found = []
    for client in row:
        found.append(had[client])
        had[client] += 1
    return tuple(found)
