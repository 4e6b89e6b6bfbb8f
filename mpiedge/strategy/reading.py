"""Epochs that are read back from a disk, which take no less than the slowest disk does.

A disk is read ahead while a rank computes: where it keeps up it costs nothing.  Our design.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mpiedge.strategy.forecast import Epoch, Forecast
from mpiedge.strategy.strategy import Phase, Source


def behind_disks(
    found: Forecast, phases: Sequence[Phase], epoch: int, seconds: Mapping[int, float]
) -> Forecast:
    """The forecast where rank r's disk takes ``seconds[r]`` for what it reads in an epoch.

    ``epoch`` is how many batches an epoch has.
    """
    slowest = max(seconds.values(), default=0.0)
    parts = replayed(phases, epoch, len(found.epochs))
    pairs = zip(found.epochs, parts, strict=True)
    return replace(found, epochs=tuple(_behind(one, part, slowest) for one, part in pairs))


def replayed(phases: Sequence[Phase], epoch: int, epochs: int) -> list[float]:
    """Which part of each epoch's batches is read back."""
    counts, done = [0] * epochs, 0
    for phase in phases:
        stop = max(done, phase.until) if phase.until else done + phase.batches
        for number in range(epochs) if phase.source is Source.REPLAY else ():
            first, last = max(done, number * epoch), min(stop, (number + 1) * epoch)
            counts[number] += max(0, last - first)
        done = stop
    return [count / epoch for count in counts]


def _behind(one: Epoch, part: float, slowest: float) -> Epoch:
    """What is read back takes its part of the time, or the disk's."""
    computed = (1 - part) * one.seconds
    return replace(one, seconds=computed + part * max(one.seconds, slowest))
