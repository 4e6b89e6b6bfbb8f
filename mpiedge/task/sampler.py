"""The order of examples: an epoch's batches, and a batch's micro-batches.

Pure, and seeded by text (Python's generator then gives the same order on any machine), so every
rank works the order out for itself and nothing is sent.

    shuffled examples   | 50 batches' worth | 50 batches' worth | ...    windows
    in each window      sorted by length, cut into batches: neighbours are equally long
    batches             shuffled; a batch that is not full goes last
"""

import random
from collections.abc import Sequence

WINDOW = 50
"""Batches that are sorted by length together: enough that little is padding."""

Batch = tuple[int, ...]


def epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[Batch]:
    """Every example's index once, in batches of examples of about the same length."""
    draw = random.Random(f"{seed} {epoch}")
    order = list(range(len(lengths)))
    draw.shuffle(order)
    window = WINDOW * batch_size
    batches: list[Batch] = []
    for start in range(0, len(order), window):
        chosen = sorted(order[start : start + window], key=lengths.__getitem__)
        batches += [tuple(chosen[i : i + batch_size]) for i in range(0, len(chosen), batch_size)]
    short = batches[-1:] if len(order) % batch_size else []
    full = batches[: len(batches) - len(short)]
    draw.shuffle(full)
    return full + short


def micro_batches(batch: Sequence[int], count: int) -> tuple[Batch, ...]:
    """A batch cut into ``count`` runs that differ by one example at most, the longer ones first."""
    least, rest = divmod(len(batch), count)
    starts = [m * least + min(m, rest) for m in range(count + 1)]
    return tuple(tuple(batch[starts[m] : starts[m + 1]]) for m in range(count))
