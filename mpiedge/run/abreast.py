"""Micro-batches of clients that train adapters of their own: in turn, or all of them abreast.

    in turn     c0 c0 | c1 c1 | c2 c2         an update each: one client's batch
    abreast     c0 c1 c2 c0 c1 c2 | ...       an update: a batch of every client

Abreast, devices work at the same time; micro-batches of different clients alternate, so that the
server has something to do from the first one on.  The server's gradient is the mean over the
clients that have a batch left in the epoch, a client's own that of its own batch: so with plain SGD
and batches of one size the mean of all weights moves as with one large batch (our completion of
SplitLoRA, arXiv 2407.00952).  A client without a batch left rests.
"""

from mpiedge.pipeline.feed import Feed, shuffled
from mpiedge.pipeline.portion import MicroBatch, Source
from mpiedge.run.clients import SEEDS, ClientFeed, Clients, Rota
from mpiedge.run.copies import Copies
from mpiedge.run.opening import Opened


def in_turn(opened: Opened, clients: Clients, size: int, copies: Copies) -> Source:
    """The ``size`` micro-batches of a batch are one client's."""
    rota = Rota(opened, clients, size)
    feed = ClientFeed(opened, clients, rota, size)

    def source(number: int) -> MicroBatch:
        copies.enter(rota.place(number // size).client)
        return feed(number)

    return source


def abreast(opened: Opened, clients: Clients, size: int, copies: Copies) -> Source:
    """The ``size`` micro-batches of a batch are all clients', of each equally many."""
    feed, now = Abreast(opened, clients, size), [0]
    for client in range(len(clients.sizes)):
        copies.weigh(client, lambda: float(feed.present(now[0])))

    def source(number: int) -> MicroBatch:
        batch, client = number // size, feed.client(number)
        now[0] = batch
        if not feed.has(client, batch):
            copies.rest(client)
        copies.enter(client)
        return feed(number)

    return source


class Abreast:
    """The micro-batches of all clients' batches, of those at home on this rank."""

    def __init__(self, opened: Opened, clients: Clients, size: int) -> None:
        training = opened.settings.training
        self._size, self._count = size, len(clients.sizes)
        self._each = clients.batches(training.batch_size)
        self._feeds = {
            client: Feed(opened.task, examples, opened.blueprint.bridge)
            for client, examples in clients.examples.items()
        }
        self._orders = {
            client: shuffled(
                clients.lengths[client],
                training.batch_size,
                size // self._count,
                training.seed + SEEDS * client,
            )
            for client in clients.examples
        }

    def __call__(self, number: int) -> MicroBatch:
        """Micro-batch ``number`` of the run; without a batch left, one that counts nothing."""
        batch, client = number // self._size, self.client(number)
        if not self.has(client, batch):
            return self._feeds[client].micro_batch(((),), 0)
        epoch, index = divmod(batch, max(self._each))
        portions = self._orders[client].batch(epoch * self._each[client] + index)
        made = self._feeds[client].micro_batch(portions, number % self._size // self._count)
        return made._replace(scale=made.scale / self.present(batch))

    def client(self, number: int) -> int:
        """Whose micro-batch it is."""
        return number % self._size % self._count

    def has(self, client: int, batch: int) -> bool:
        """Whether a client has a batch left in the epoch."""
        return batch % max(self._each) < self._each[client]

    def present(self, batch: int) -> int:
        """How many clients have."""
        return sum(self.has(client, batch) for client in range(self._count))
