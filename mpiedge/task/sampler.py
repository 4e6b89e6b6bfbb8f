"""The order of examples: an epoch's batches, and a batch's micro-batches.

Pure, and seeded by text (Python's generator then gives the same order on any machine), so every
rank works the order out for itself and nothing is sent.

    shuffled examples   | 50 batches' worth | 50 batches' worth | ...    windows
    in each window      sorted by length, cut into batches: neighbours are equally long
    batches             shuffled; a batch that is not full goes last

Where a device keeps what it made of an example, the example must come back to it in every epoch.
Then each example is dealt to a *column*, a place among a batch's micro-batches, once for the whole
run, and an epoch shuffles within the columns:

    column 0   | its examples, ordered as above, a micro-batch to each batch
    column 1   | its examples, ...
    batch k    the k-th micro-batch of every column: equally long, as all columns order alike
"""

import random
from collections.abc import Sequence
from itertools import accumulate, pairwise

WINDOW = 50
"""Batches that are sorted by length together: enough that little is padding."""

Batch = tuple[int, ...]

Portions = tuple[Batch, ...]
"""One batch, cut into its micro-batches' example numbers."""


def epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[Batch]:
    """Every example's index once, in batches of examples of about the same length."""
    draw = random.Random(f"{seed} {epoch}")
    order = list(range(len(lengths)))
    draw.shuffle(order)
    batches = _by_length(order, lengths, batch_size)
    short = batches[-1:] if len(order) % batch_size else []
    full = batches[: len(batches) - len(short)]
    draw.shuffle(full)
    return full + short


def columns(examples: int, batch_size: int, count: int, seed: int) -> tuple[Batch, ...]:
    """Every example's index in one of ``count`` columns, dealt at random."""
    order = list(range(examples))
    random.Random(f"{seed} columns").shuffle(order)
    full, rest = divmod(examples, batch_size)
    ends = accumulate(full * size + short for size, short in _sizes(batch_size, rest, count))
    return tuple(tuple(order[start:stop]) for start, stop in pairwise((0, *ends)))


def column_batches(
    dealt: Sequence[Batch], lengths: Sequence[int], batch_size: int, seed: int, epoch: int
) -> list[Portions]:
    """Every example's index once, in batches whose micro-batch ``m`` is of column ``m``."""
    full, rest = divmod(sum(map(len, dealt)), batch_size)
    rows: list[list[Batch]] = []
    last: list[Batch] = []
    sizes = _sizes(batch_size, rest, len(dealt))
    for m, (column, (size, short)) in enumerate(zip(dealt, sizes, strict=True)):
        order = list(column)
        random.Random(f"{seed} {epoch} {m}").shuffle(order)
        parts = _by_length(order[short:], lengths, size) if size else []
        rows.append(parts or [()] * full)
        last.append(tuple(order[:short]))
    batches = list(zip(*rows, strict=True))
    random.Random(f"{seed} {epoch}").shuffle(batches)
    return batches + ([tuple(last)] if rest else [])


def _by_length(order: Sequence[int], lengths: Sequence[int], size: int) -> list[Batch]:
    """The examples cut into runs of ``size``, sorted by length in each window of ``order``."""
    runs: list[Batch] = []
    for start in range(0, len(order), WINDOW * size):
        chosen = sorted(order[start : start + WINDOW * size], key=lengths.__getitem__)
        runs += [tuple(chosen[i : i + size]) for i in range(0, len(chosen), size)]
    return runs


def _sizes(batch_size: int, rest: int, count: int) -> list[tuple[int, int]]:
    """How many examples each column has in a full batch, and in the last one."""
    full, short = (micro_batches(range(size), count) for size in (batch_size, rest))
    return [(len(one), len(other)) for one, other in zip(full, short, strict=True)]


def micro_batches(batch: Sequence[int], count: int) -> Portions:
    """A batch cut into ``count`` runs that differ by one example at most, the longer ones first."""
    least, rest = divmod(len(batch), count)
    starts = [m * least + min(m, rest) for m in range(count + 1)]
    return tuple(tuple(batch[starts[m] : starts[m + 1]]) for m in range(count))
