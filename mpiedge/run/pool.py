"""The examples of all clients as one row, of which every rank knows the outline.

Everybody learns whose each example is, how many tokens it has and how many terms of the loss: then
every rank works out for itself which example is trained on when.  Where one data set was divided
among clients its own numbers are kept, so that the order is the one it has without clients.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mpiedge.comm.values import check_same, collectively
from mpiedge.config import RunSettings
from mpiedge.model.tokenizer import open_tokenizer
from mpiedge.pipeline.feed import Order, shuffled
from mpiedge.run.clients import Clients, everywhere
from mpiedge.run.opening import Opened
from mpiedge.task.sampler import micro_batches
from mpiedge.task.task import Encoded
from mpiedge.task.window import windowed_batches


@dataclass(frozen=True)
class Pool:
    """All examples by number."""

    lengths: tuple[int, ...]  # how much work each is
    tokens: tuple[int, ...]  # of each that the model is given
    units: tuple[int, ...]  # terms of the loss of each
    clients: tuple[int, ...]  # whose each is
    examples: Mapping[int, Encoded]  # those of the clients on this rank


def pooled(opened: Opened, clients: Clients) -> Pool:
    """The outline of all examples; called by all.

    Raises BadInput where ranks have different tokenizers.
    """
    transport, task = opened.transport, opened.task
    digest = collectively(transport, lambda: _vocabulary(opened.settings.model.name))
    repair = "copy the same model with its tokenizer to every device"
    check_same(transport, "the tokenizer of model.name, as a digest,", digest, repair)
    numbers = {client: _numbers(clients, client) for client in clients.examples}
    rows = everywhere(
        opened,
        {
            client: [
                [n, e.length, len(e.tokens), task.units(e)]
                for n, e in zip(numbers[client], examples, strict=True)
            ]
            for client, examples in clients.examples.items()
        },
    )
    every = sorted((*row, client) for client, examples in rows.items() for row in examples)
    _, lengths, tokens, units, owners = zip(*every, strict=True)
    return Pool(
        lengths=lengths,
        tokens=tokens,
        units=units,
        clients=owners,
        examples={
            n: e
            for client, examples in clients.examples.items()
            for n, e in zip(numbers[client], examples, strict=True)
        },
    )


def order_of(settings: RunSettings, pool: Pool, count: int) -> Order:
    """Which examples make up which batch, cut into ``count`` micro-batches."""
    size, seed = settings.training.batch_size, settings.training.seed
    window = settings.strategy.window
    if not window:
        return shuffled(pool.lengths, size, count, seed)
    each = [
        tuple(n for n, owner in enumerate(pool.clients) if owner == client)
        for client in sorted(set(pool.clients))
    ]

    def epoch(number: int) -> list[tuple[tuple[int, ...], ...]]:
        batches = windowed_batches(each, window, size, seed, number)
        return [micro_batches(batch, count) for batch in batches]

    return Order(-(-len(pool.lengths) // size), epoch)


def _numbers(clients: Clients, client: int) -> range | tuple[int, ...]:
    start = sum(clients.sizes[:client])
    given = clients.places.get(client)
    return tuple(given) if given else range(start, start + clients.sizes[client])


def _vocabulary(name: str) -> str:
    words: str = open_tokenizer(name).backend_tokenizer.to_str()
    return hashlib.blake2b(words.encode(), digest_size=8).hexdigest()
