"""Shuffling by windows: examples of several clients mixed as they come, so many at a time.

    client 0   a b c d        each in an order of its own
    client 1   x y
    come       a x b | c y d  in proportion to how many each has
    window     x b a | d c y  shuffled within every window; batches are cut from this

Weaker than a shuffle of the whole epoch, and what a server can do that does not know beforehand
what will come.  SplitFrozen shuffles at the server; which of the two it does is not known.
"""

import random
from collections.abc import Sequence

from mpiedge.task.sampler import Batch


def windowed_batches(
    clients: Sequence[Batch], window: int, batch_size: int, seed: int, epoch: int
) -> list[Batch]:
    """Every example of every client once, in batches of ``batch_size``, the last one shorter."""
    row = _mixed([_shuffled(client, f"{seed} {epoch} {i}") for i, client in enumerate(clients)])
    parts = [row[start : start + window] for start in range(0, len(row), window)]
    mixed = [e for i, part in enumerate(parts) for e in _shuffled(part, f"{seed} {epoch} w {i}")]
    return [tuple(mixed[i : i + batch_size]) for i in range(0, len(mixed), batch_size)]


def _shuffled(examples: Sequence[int], seed: str) -> Batch:
    order = list(examples)
    random.Random(seed).shuffle(order)
    return tuple(order)


def _mixed(streams: Sequence[Batch]) -> Batch:
    """The streams in one, each spread evenly over the whole."""
    turns = [
        ((turn + 0.5) / len(stream), i, example)
        for i, stream in enumerate(streams)
        for turn, example in enumerate(stream)
    ]
    return tuple(example for _, _, example in sorted(turns))
