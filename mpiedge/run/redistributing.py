"""Stored activations brought to the ranks that will train on them.

Each pair of ranks exchanges small parts, one in each round, so that memory is bounded however much
there is to move.  Records travel as they are stored, with their checksums.  PAC, section 5.2.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.comm.values import agree, gather
from mpiedge.plan.redistribution import Holding, Transfer, transfers
from mpiedge.store.cache import ActivationCache
from mpiedge.store.damaged import Damaged
from mpiedge.store.layout import Counts

PART = 4 << 20  # bytes that one rank sends another in a round

Part = tuple[int, ...]
"""The examples of a message."""


def holdings(transport: Transport, cache: ActivationCache) -> tuple[Holding, ...]:
    """What every rank has stored; called by all."""
    runs = sorted(cache.index.runs().items(), key=lambda run: (run[0].start, run[0].stop))
    here = [[layers.start, layers.stop, examples] for layers, examples in runs]
    return tuple(
        Holding(rank, range(first, stop), np.array(examples, dtype=np.int64))
        for rank, there in enumerate(agree(transport, gather(transport, here)))
        for first, stop, examples in there
    )


def redistribute(
    transport: Transport,
    cache: ActivationCache,
    wanted: Sequence[Holding],
    counts: Sequence[Counts],
) -> int:
    """Give each rank what is wanted of it; returns the bytes this rank sent.

    Records that are damaged are left out: whoever wants them will miss them.
    """
    moves = transfers(holdings(transport, cache), wanted)
    parts = [list(_parts(cache, move, counts)) for move in moves]
    before = _sent(transport)
    for number in range(max(map(len, parts), default=0)):
        due = [(index, move) for index, move in enumerate(moves) if number < len(parts[index])]
        for index, move in due:
            if move.source == transport.rank:
                content = _content(cache, move, parts[index][number])
                transport.send(content, move.dest, Tag(Kind.STORED, number, index))
        for index, move in due:
            if move.dest == transport.rank:
                _take(cache, transport.recv(move.source, Tag(Kind.STORED, number, index)))
        transport.flush()
    cache.finish()
    _drop_others(transport, cache, wanted)
    return _sent(transport) - before


def _drop_others(transport: Transport, cache: ActivationCache, wanted: Sequence[Holding]) -> None:
    """Forget examples that others want, once all of them have them on their disks."""
    agree(transport, gather(transport, None))
    stored = {example for examples in cache.index.runs().values() for example in examples}
    mine = (one.examples.tolist() for one in wanted if one.rank == transport.rank)
    others = stored.difference(*mine)
    if others:
        cache.drop(sorted(others))


def _parts(cache: ActivationCache, move: Transfer, counts: Sequence[Counts]) -> Iterator[Part]:
    """A transfer's examples, in messages of about equal size; known to both ranks."""
    part: list[int] = []
    size = 0
    for example in map(int, move.examples):
        part.append(example)
        size += cache.layout.record_bytes(move.layers, counts[example])
        if size >= PART:
            yield tuple(part)
            part, size = [], 0
    if part:
        yield tuple(part)


def _content(cache: ActivationCache, move: Transfer, part: Part) -> list[Tensor]:
    """The examples' numbers, and a record for each of them."""
    found: list[tuple[int, Tensor]] = []
    for example in part:
        try:
            records = cache.raw(example)
        except Damaged:
            continue
        found += [(example, rows) for layers, rows in records if layers == move.layers]
    numbers = torch.tensor([example for example, _ in found], dtype=torch.int64)
    return [numbers, *(rows for _, rows in found)]


def _take(cache: ActivationCache, message: Sequence[Tensor]) -> None:
    for example, rows in zip(message[0].tolist(), message[1:], strict=True):
        cache.put_raw(example, rows)


def _sent(transport: Transport) -> int:
    sent = transport.ledger.sent().items()
    return sum(flow.bytes for (kind, _), flow in sent if kind is Kind.STORED)
